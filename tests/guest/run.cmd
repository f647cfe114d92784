@echo off
rem SPDX-License-Identifier: MIT
rem
rem run.cmd - CoreMnt tried on this machine, without a question: README.txt tells what it does.
rem
rem   run.cmd [--only STEP,STEP] [--skip STEP,STEP] [--work FOLDER] [--shutdown] [--list]
rem
rem Nothing of cmd's later years is used: it runs on Windows XP, and from a path with spaces.
setlocal
set arch=x86
if /i "%PROCESSOR_ARCHITECTURE%"=="AMD64" set arch=x64
if /i "%PROCESSOR_ARCHITEW6432%"=="AMD64" set arch=x64
if exist "%~dp0%arch%\guest.exe" goto found
echo FAILED kit: %~dp0%arch%\guest.exe is missing
echo 0 passed, 1 failed, 0 skipped
exit /b 1
:found
"%~dp0%arch%\guest.exe" kit %*
exit /b %errorlevel%
