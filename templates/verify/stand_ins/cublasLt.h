// Replaces the header of cuBLASLt, which is not installed: torch's CUDA headers need its types alone.
#pragma once

#include "cublas_v2.h"

extern "C" {
typedef struct cublasLtContext* cublasLtHandle_t;
}
