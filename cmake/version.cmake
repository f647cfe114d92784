# SPDX-License-Identifier: MIT
# The version of the project. include/coremnt/coremnt.h has it; what repeats it is compared here, each
# time that one of the files has changed, and a tree in which they differ is not configured. Included before
# project(), which takes COREMNT_VERSION.

# coremnt_read_version(RESULT FILE PREFIX [SUFFIX]): "1.2.3" of a header's PREFIX_MAJOR 1SUFFIX, ...
function(coremnt_read_version result file prefix)
  if(NOT CMAKE_SCRIPT_MODE_FILE) # which its test uses
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${file})
  endif()
  foreach(part MAJOR MINOR PATCH)
    file(STRINGS ${CMAKE_CURRENT_SOURCE_DIR}/${file} line REGEX "^#define ${prefix}_${part} [0-9]+u?$")
    if(NOT line MATCHES "${part} ([0-9]+)")
      message(FATAL_ERROR "${file} does not define ${prefix}_${part} as a number")
    endif()
    list(APPEND version ${CMAKE_MATCH_1})
  endforeach()
  list(JOIN version . version)
  set(${result} ${version} PARENT_SCOPE)
endfunction()

coremnt_read_version(COREMNT_VERSION include/coremnt/coremnt.h CM_VERSION)
coremnt_read_version(driver_version driver/version.h DRIVER_VERSION)
if(NOT driver_version VERSION_EQUAL COREMNT_VERSION)
  message(FATAL_ERROR "driver/version.h says ${driver_version}, include/coremnt/coremnt.h ${COREMNT_VERSION}")
endif()
file(STRINGS include/coremnt/coremnt.h line REGEX "^#define CM_VERSION_STRING \"${COREMNT_VERSION}\"$")
if(NOT line)
  message(FATAL_ERROR "include/coremnt/coremnt.h: CM_VERSION_STRING is not \"${COREMNT_VERSION}\"")
endif()
