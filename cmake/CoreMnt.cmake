# SPDX-License-Identifier: MIT
# What every target of the project has in common: language, warnings, sanitizers, include paths;
# and coremnt_add_driver(), which links a kernel driver with mingw-w64.

set(CMAKE_C_STANDARD 11)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

# -O2 and line tables everywhere: a crash log must lead to a source line.
set(CMAKE_C_FLAGS_RELWITHDEBINFO "-O2 -g")

set(COREMNT_SANITIZE "" CACHE STRING "Sanitizers for native builds, e.g. address,undefined")
option(COREMNT_COVERAGE "Count which lines of the driver its tests reach; see scripts/coverage")
option(COREMNT_FUZZ "Build the fuzz targets, with clang; see fuzz/README.md")

set(COREMNT_WARNINGS
  -Wall -Wextra -Werror -Wshadow -Wvla -Wundef -Wpointer-arith -Wwrite-strings
  -Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition -Wformat=2)

# User-mode code: the public headers by <coremnt/...>, everything else by its path from the root.
add_library(coremnt_common INTERFACE)
target_include_directories(coremnt_common INTERFACE ${CMAKE_SOURCE_DIR} ${CMAKE_SOURCE_DIR}/include)
target_compile_options(coremnt_common INTERFACE ${COREMNT_WARNINGS})
if(WIN32)
  # Declared is what Windows 7 has; that nothing newer than XP is imported, scripts/check-imports checks.
  # msvcrt's printf knows no %zu and no %llu without the last one.
  target_compile_definitions(coremnt_common INTERFACE
    _WIN32_WINNT=0x0601 WINVER=0x0601 UNICODE _UNICODE __USE_MINGW_ANSI_STDIO=1)
  # No run-time DLL of the compiler beside our programs.
  target_link_options(coremnt_common INTERFACE -static-libgcc)
else()
  target_compile_definitions(coremnt_common INTERFACE _GNU_SOURCE _FILE_OFFSET_BITS=64)
  target_link_libraries(coremnt_common INTERFACE pthread)
endif()
if(COREMNT_SANITIZE)
  target_compile_options(coremnt_common INTERFACE
    -fsanitize=${COREMNT_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  target_link_options(coremnt_common INTERFACE -fsanitize=${COREMNT_SANITIZE})
endif()

# coremnt_add_driver(NAME sources...): a kernel driver NAME.sys.
function(coremnt_add_driver name)
  add_executable(${name} ${ARGN})
  set_target_properties(${name} PROPERTIES SUFFIX .sys)
  target_include_directories(${name} PRIVATE ${CMAKE_SOURCE_DIR})
  # The DDK's headers as system headers: their warnings are not ours.
  target_include_directories(${name} SYSTEM PRIVATE /usr/share/mingw-w64/include/ddk)
  # No stack protector, no red zone: there is no C run time in the kernel. Stacks are 12 KiB on x86,
  # so a frame over 1 KiB is an error. x64 keeps its unwind tables (.pdata), without which the kernel's
  # own stack traces end at us; on x86 they would be dead weight.
  target_compile_options(${name} PRIVATE ${COREMNT_WARNINGS}
    -ffreestanding -fno-stack-protector -mno-red-zone -fno-strict-aliasing -Wframe-larger-than=1024 -Wno-attributes)
  target_compile_definitions(${name} PRIVATE _WIN32_WINNT=0x0601 NTDDI_VERSION=0x06010000)
  if(CMAKE_SYSTEM_PROCESSOR STREQUAL i686)
    set(entry _DriverEntry@8)
    target_compile_options(${name} PRIVATE -fno-asynchronous-unwind-tables)
  else()
    set(entry DriverEntry)
  endif()
  target_link_options(${name} PRIVATE
    -nostdlib -nostartfiles -Wl,--subsystem,native:5.1 -Wl,--entry,${entry}
    -Wl,--major-os-version,5,--minor-os-version,1
    -Wl,--exclude-all-symbols -Wl,--dynamicbase -Wl,--nxcompat)
  target_link_libraries(${name} PRIVATE ntoskrnl hal gcc)
endfunction()

# coremnt_add_version(TARGET DESCRIPTION): the resource that tells what the file is. A driver's type follows
# from the target's suffix.
if(WIN32)
  enable_language(RC)
endif()
function(coremnt_add_version target description)
  get_target_property(name ${target} OUTPUT_NAME)
  if(NOT name)
    set(name ${target})
  endif()
  get_target_property(kind ${target} TYPE)
  get_target_property(suffix ${target} SUFFIX)
  set(subtype VFT2_UNKNOWN)
  if(suffix STREQUAL ".sys")
    set(file ${name}.sys)
    set(type VFT_DRV)
    set(subtype VFT2_DRV_SYSTEM)
  elseif(kind STREQUAL SHARED_LIBRARY)
    set(file ${name}.dll)
    set(type VFT_DLL)
  else()
    set(file ${name}.exe)
    set(type VFT_APP)
  endif()
  file(STRINGS ${CMAKE_SOURCE_DIR}/LICENSE copyright REGEX "^Copyright" LIMIT_COUNT 1)
  string(REPLACE . , commas ${PROJECT_VERSION})
  configure_file(${CMAKE_SOURCE_DIR}/cmake/version.rc.in ${CMAKE_CURRENT_BINARY_DIR}/${target}.rc @ONLY)
  target_sources(${target} PRIVATE ${CMAKE_CURRENT_BINARY_DIR}/${target}.rc)
endfunction()
