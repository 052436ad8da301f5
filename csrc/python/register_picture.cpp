// SPDX-License-Identifier: Apache-2.0
// Drawing over pictures, for pvnet.viz. Every argument is checked: a wrong call raises, it never
// writes outside an array. The GIL is released while drawing.
#include <algorithm>
#include <limits>
#include <string>

#include "picture/layer.hpp"
#include "python/array.hpp"
#include "python/gil.hpp"
#include "python/register.hpp"

namespace pvnet::python {
namespace {

namespace py = pybind11;

[[noreturn]] void refuse(const std::string& where, const std::string& what, const std::string& got,
                         const std::string& expected, const std::string& cure) {
  raise_if_failed(array_error(Code::invalid_argument, where, what, got, expected, cure));
  throw py::error_already_set();  // not reached: the line above throws
}

BorrowedArray borrow_as(py::handle obj, DType dtype, std::initializer_list<int64_t> shape,
                        const std::string& where) {
  BorrowedArray a = unwrap(borrow(obj, where));
  raise_if_failed(expect_dtype(a, dtype, where));
  raise_if_failed(expect_shape(a, shape, where));
  for (int axis = 0; axis < a.rank; ++axis) {
    if (a.shape[axis] > std::numeric_limits<int32_t>::max() / 8)
      refuse(where, "it is too large", a.shape_string(), "axes below 2^28", "Pass a smaller one");
  }
  return a;
}

// Rows may lie apart; what is in a row is dense.
void expect_dense_rows(const BorrowedArray& a, int64_t pixel, const std::string& where) {
  raise_if_failed(expect_writable(a, where));
  const bool dense = (a.shape[1] == 1 || a.strides[1] == pixel) &&
                     (a.rank == 2 || a.strides[2] == 1) && a.strides[0] >= a.shape[1] * pixel;
  if (!dense)
    refuse(where, "its rows have gaps",
           "strides " + std::to_string(a.strides[0]) + ", " + std::to_string(a.strides[1]),
           "dense rows", "Pass a copy");
}

Layer layer_of(const BorrowedArray& a, const std::string& where) {
  expect_dense_rows(a, 4, where);
  return {static_cast<uint8_t*>(a.data), static_cast<int>(a.shape[0]), static_cast<int>(a.shape[1]),
          a.strides[0]};
}

void draw_capsules(py::handle layer, py::handle ends, py::handle radii, py::handle inks) {
  const std::string where = "draw_capsules";
  const BorrowedArray pixels = borrow_as(layer, DType::u8, {-1, -1, 4}, where + ": layer");
  const Layer to = layer_of(pixels, where + ": layer");
  const BorrowedArray e = borrow_as(ends, DType::f32, {-1, 2, 2}, where + ": ends");
  const int64_t n = e.shape[0];
  const BorrowedArray r = borrow_as(radii, DType::f32, {n}, where + ": radii");
  const BorrowedArray i = borrow_as(inks, DType::f32, {n, 4}, where + ": inks");
  if (!e.contiguous() || !r.contiguous() || !i.contiguous())
    refuse(where, "what is drawn has gaps", "other strides", "dense arrays", "Pass copies");
  const auto* const end = static_cast<const float*>(e.data);
  const auto* const radius = static_cast<const float*>(r.data);
  const auto* const ink = static_cast<const float*>(i.data);
  const GilReleased unlocked;
  for (int64_t k = 0; k < n; ++k) {
    Capsule c{end[4 * k], end[4 * k + 1], end[4 * k + 2], end[4 * k + 3], radius[k], {}};
    std::copy_n(ink + 4 * k, 4, c.ink);
    draw_capsule(to, c);
  }
}

// The part of a plane under a layer of `h` x `w` samples whose first one is at (x, y).
Plane part_of(const BorrowedArray& a, int64_t x, int64_t y, int64_t h, int64_t w,
              const std::string& where) {
  expect_dense_rows(a, 1, where);
  if (x < 0 || y < 0 || h > a.shape[0] - y || w > a.shape[1] - x)
    refuse(where, "the layer lies outside", a.shape_string(), "a plane that is larger",
           "Cut the layer off");
  return {static_cast<uint8_t*>(a.data) + y * a.strides[0] + x, a.strides[0]};
}

void mix_into_planes(py::handle layer, py::handle y, py::handle u, py::handle v, int64_t left,
                     int64_t top) {
  const std::string where = "mix_layer";
  const BorrowedArray pixels = borrow_as(layer, DType::u8, {-1, -1, 4}, where + ": layer");
  const BorrowedArray ya = borrow_as(y, DType::u8, {-1, -1}, where + ": y");
  const BorrowedArray ua = borrow_as(u, DType::u8, {-1, -1}, where + ": u");
  const BorrowedArray va = borrow_as(v, DType::u8, {-1, -1}, where + ": v");
  const int64_t h = pixels.shape[0], w = pixels.shape[1];
  if ((h | w | left | top) % 2 != 0 || !pixels.contiguous())
    refuse(where, "the layer does not fit chroma", pixels.shape_string(),
           "a dense layer of even sizes and places", "Make it larger by a row or column");
  const Layer from{static_cast<uint8_t*>(pixels.data), static_cast<int>(h), static_cast<int>(w),
                   4 * w};
  const Plane to_y = part_of(ya, left, top, h, w, where + ": y");
  const Plane to_u = part_of(ua, left / 2, top / 2, h / 2, w / 2, where + ": u");
  const Plane to_v = part_of(va, left / 2, top / 2, h / 2, w / 2, where + ": v");
  const GilReleased unlocked;
  mix_layer(from, to_y, to_u, to_v);
}

}  // namespace

void register_picture(py::module_& m) {
  py::module_ picture = m.def_submodule("picture", "Drawing over pictures; see pvnet.viz.");
  picture.def("draw_capsules", draw_capsules, py::arg("layer"), py::arg("ends"), py::arg("radii"),
              py::arg("inks"));
  picture.def("mix_layer", mix_into_planes, py::arg("layer"), py::arg("y"), py::arg("u"),
              py::arg("v"), py::arg("left"), py::arg("top"));
}

}  // namespace pvnet::python
