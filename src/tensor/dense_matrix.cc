#include "tensor/dense_matrix.h"
