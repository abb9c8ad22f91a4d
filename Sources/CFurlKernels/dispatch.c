#include "CFurlKernels.h"
