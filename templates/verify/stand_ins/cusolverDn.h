// Replaces the header of cuSOLVER, which is not installed: torch's CUDA headers need its types alone.
#pragma once

#include "cusolver_common.h"

extern "C" {
typedef struct cusolverDnContext* cusolverDnHandle_t;
}
