// SPDX-License-Identifier: Apache-2.0
// Elements of maps are floats. element_bf16.inl has the same names; kernels that only read and
// store elements are written over them.

using elem = float;

inline const elem* elems(const float* p) { return p; }
inline elem* elems(float* p) { return p; }
inline float to_float(elem x) { return x; }
inline elem to_elem(float x) { return x; }
inline vec as_stored(vec x) { return x; }
