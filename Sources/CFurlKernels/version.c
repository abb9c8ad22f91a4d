// Which build of Furl this is.

#include "CFurlKernels.h"

// Package.swift defines it where FURL_BUILD is set, as `make dist` sets it.
#ifndef FURL_BUILD
#define FURL_BUILD "development build"
#endif

const char *furl_build(void) { return FURL_BUILD; }
