# Rooms (folders of src/), their tests and fuzz targets, with one set of flags for all.

find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
find_package(ZLIB REQUIRED)
pkg_check_modules(JANSSON REQUIRED IMPORTED_TARGET jansson)
pkg_check_modules(YAML REQUIRED IMPORTED_TARGET yaml-0.1)
pkg_check_modules(PCRE2 REQUIRED IMPORTED_TARGET libpcre2-8)
pkg_check_modules(UTF8PROC REQUIRED IMPORTED_TARGET libutf8proc)
pkg_check_modules(ZSTD REQUIRED IMPORTED_TARGET libzstd)
pkg_check_modules(CURL REQUIRED IMPORTED_TARGET libcurl)
pkg_check_modules(SQLITE REQUIRED IMPORTED_TARGET sqlite3)
pkg_check_modules(EDIT REQUIRED IMPORTED_TARGET libedit)
pkg_check_modules(EVENT REQUIRED IMPORTED_TARGET libevent)

add_library(ae_flags INTERFACE)
target_include_directories(ae_flags INTERFACE ${CMAKE_SOURCE_DIR}/include ${CMAKE_SOURCE_DIR}/src)
target_compile_definitions(ae_flags INTERFACE _POSIX_C_SOURCE=200809L _DEFAULT_SOURCE _FILE_OFFSET_BITS=64)
# -ffp-contract=off: which sums are fused is written in the code, not left to the compiler.
target_compile_options(ae_flags INTERFACE -Wall -Wextra -Wpedantic -Wshadow -Wstrict-prototypes
  -Wmissing-prototypes -Wvla -Wpointer-arith -Wwrite-strings -Wundef -ffp-contract=off -fno-math-errno)
if(AERIE_WERROR)
  target_compile_options(ae_flags INTERFACE -Werror)
endif()
if(AERIE_SANITIZE)
  target_compile_options(ae_flags INTERFACE -fsanitize=${AERIE_SANITIZE} -fno-sanitize-recover=all
    -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${AERIE_SANITIZE})
endif()
if(AERIE_FUZZ)
  target_compile_options(ae_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()

# What the rooms need from outside; every room and test may use these.
add_library(ae_parts INTERFACE)
target_link_libraries(ae_parts INTERFACE m Threads::Threads ZLIB::ZLIB PkgConfig::JANSSON
  PkgConfig::YAML PkgConfig::PCRE2 PkgConfig::UTF8PROC PkgConfig::ZSTD
  PkgConfig::SQLITE)

# libcurl is for programs with the room http alone: loading it and what it needs takes a while.

# ae_room(base alloc.c arena.c ...): the objects of one folder.
function(ae_room name)
  add_library(ae_${name} OBJECT ${ARGN})
  target_link_libraries(ae_${name} PRIVATE ae_flags ae_parts)
  set_property(GLOBAL APPEND PROPERTY AE_ROOMS ${name})
endfunction()

# ae_program(NAME FILES f.c ROOMS base text): an executable from files and rooms' objects.
# The room "library" is all of the public library.
function(ae_program name)
  cmake_parse_arguments(P "" "" "FILES;ROOMS" ${ARGN})
  set(objects)
  foreach(room ${P_ROOMS})
    if(NOT room STREQUAL "library")
      list(APPEND objects $<TARGET_OBJECTS:ae_${room}>)
    endif()
  endforeach()
  add_executable(${name} ${P_FILES} ${objects})
  target_link_libraries(${name} PRIVATE ae_flags ae_parts)
  if("library" IN_LIST P_ROOMS)
    target_link_libraries(${name} PRIVATE aerie_static)
  endif()
  if("http" IN_LIST P_ROOMS)
    target_link_libraries(${name} PRIVATE PkgConfig::CURL)
  endif()
endfunction()

# ae_test(test_gguf FILES test_gguf.c ROOMS format tensor base [ARGS ...]): a cmocka program run by
# CTest with the source tree as working folder.
function(ae_test name)
  cmake_parse_arguments(T "" "" "FILES;ROOMS;ARGS" ${ARGN})
  ae_program(${name} FILES ${T_FILES} ROOMS ${T_ROOMS})
  target_include_directories(${name} PRIVATE ${CMAKE_SOURCE_DIR}/test)
  target_link_libraries(${name} PRIVATE cmocka)
  add_test(NAME ${name} COMMAND ${name} ${T_ARGS} WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
  set_tests_properties(${name} PROPERTIES TIMEOUT 600)
endfunction()

# ae_fuzz(fuzz_gguf FILES fuzz_gguf.c ROOMS ...): with AERIE_FUZZ a libFuzzer program; otherwise one
# that replays test/fuzz/corpus/NAME, as a test.
function(ae_fuzz name)
  cmake_parse_arguments(F "" "" "FILES;ROOMS" ${ARGN})
  if(AERIE_FUZZ)
    ae_program(${name} FILES ${F_FILES} ROOMS ${F_ROOMS})
    target_link_options(${name} PRIVATE -fsanitize=fuzzer)
  else()
    ae_program(${name} FILES ${F_FILES} ${CMAKE_SOURCE_DIR}/test/fuzz/replay.c ROOMS ${F_ROOMS})
    add_test(NAME ${name} COMMAND ${name} ${CMAKE_SOURCE_DIR}/test/fuzz/corpus/${name})
    set_tests_properties(${name} PROPERTIES TIMEOUT 300)
  endif()
endfunction()
