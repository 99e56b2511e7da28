// Replaces the header of cuSOLVER, which is not installed: torch's CUDA headers need its types alone.
#pragma once

extern "C" {
typedef enum { CUSOLVER_STATUS_SUCCESS = 0 } cusolverStatus_t;
}
