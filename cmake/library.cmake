# The library from the rooms' objects (all but cli and serve), the program, and what an installation holds.

include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

get_property(rooms GLOBAL PROPERTY AE_ROOMS)
set(objects)
foreach(room ${rooms})
  if(NOT room MATCHES "^(cli|serve)$")
    list(APPEND objects $<TARGET_OBJECTS:ae_${room}>)
  endif()
endforeach()

add_library(aerie_static STATIC ${objects})
add_library(aerie_shared SHARED ${objects})
foreach(kind static shared)
  set_target_properties(aerie_${kind} PROPERTIES OUTPUT_NAME aerie EXPORT_NAME aerie_${kind})
  target_include_directories(aerie_${kind} INTERFACE $<BUILD_INTERFACE:${CMAKE_SOURCE_DIR}/include>
    $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
  target_link_libraries(aerie_${kind} PRIVATE ae_parts PkgConfig::CURL)
endforeach()
set_target_properties(aerie_shared PROPERTIES VERSION ${PROJECT_VERSION} SOVERSION 0)

add_executable(aerie $<TARGET_OBJECTS:ae_cli> $<TARGET_OBJECTS:ae_serve>)
target_link_libraries(aerie PRIVATE aerie_static ae_flags ae_parts PkgConfig::EDIT PkgConfig::EVENT)
set_target_properties(aerie PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR})

install(TARGETS aerie RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(TARGETS aerie_shared aerie_static DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(DIRECTORY ${CMAKE_SOURCE_DIR}/include/aerie DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.h")
if(EXISTS ${CMAKE_SOURCE_DIR}/recipes/nursery/nursery.gguf)
  install(FILES ${CMAKE_SOURCE_DIR}/recipes/nursery/nursery.gguf DESTINATION ${CMAKE_INSTALL_DATADIR}/aerie)
endif()

configure_file(${CMAKE_SOURCE_DIR}/cmake/aerie.pc.in ${CMAKE_BINARY_DIR}/aerie.pc @ONLY)
install(FILES ${CMAKE_BINARY_DIR}/aerie.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
configure_package_config_file(${CMAKE_SOURCE_DIR}/cmake/aerieConfig.cmake.in ${CMAKE_BINARY_DIR}/aerieConfig.cmake
  INSTALL_DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/aerie
  PATH_VARS CMAKE_INSTALL_LIBDIR CMAKE_INSTALL_INCLUDEDIR)
write_basic_package_version_file(${CMAKE_BINARY_DIR}/aerieConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_BINARY_DIR}/aerieConfig.cmake ${CMAKE_BINARY_DIR}/aerieConfigVersion.cmake
  DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/aerie)
