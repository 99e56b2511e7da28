// Replaces the header of cuSPARSE, which is not installed: torch's CUDA headers need its types alone.
#pragma once

extern "C" {
typedef struct cusparseContext* cusparseHandle_t;
typedef enum { CUSPARSE_STATUS_SUCCESS = 0 } cusparseStatus_t;
const char* cusparseGetErrorString(cusparseStatus_t status);
}
