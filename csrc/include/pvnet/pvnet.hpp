// SPDX-License-Identifier: Apache-2.0
// C++17 over the C interface in pvnet.h, header only: owners instead of destroy functions, an
// exception instead of a status. pvnet.h has the contract of every function.
//
//   pvnet::embed::Model model("model.safetensors");
//   pvnet::embed::Plan plan(model);
//   pvnet::embed::Stream stream(plan);
//   std::vector<float> logits(plan.output(0).size());
//   while (camera.next(&image)) {
//     stream.tick({pvnet_frame_u8(image.rgb, 224, 224, 3, image.pitch_bytes)});
//     stream.read(0, 0, logits.data(), logits.size());
//     if (stream.valid(0, 0)) act_on(logits);
//   }
#pragma once

#include <initializer_list>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include <pvnet/pvnet.h>

namespace pvnet::embed {

class Error : public std::runtime_error {
 public:
  Error(int status, const char* message) : std::runtime_error(message), status_(status) {}
  int status() const noexcept { return status_; }  // pvnet_status

 private:
  int status_;
};

inline void check(int status) {
  if (status != PVNET_OK) throw Error(status, pvnet_last_error());
}

// The two calls of a text function: f(text, capacity_bytes, &needed_bytes).
template <class F>
std::string text_of(F&& f) {
  size_t needed = 0;
  check(f(nullptr, size_t{0}, &needed));
  std::string s(needed, '\0');
  check(f(s.data(), s.size(), &needed));
  s.resize(needed - 1);
  return s;
}

struct ValueInfo : pvnet_value_info {
  ValueInfo() : pvnet_value_info() { struct_size = sizeof(pvnet_value_info); }
  size_t size() const {
    return static_cast<size_t>(channels) * static_cast<size_t>(height) * static_cast<size_t>(width);
  }
};

class Model {
 public:
  explicit Model(const std::string& path) {
    pvnet_model* m = nullptr;
    check(pvnet_model_load(path.c_str(), &m));
    handle_.reset(m);
  }
  Model(const void* bytes, size_t size_bytes) {
    pvnet_model* m = nullptr;
    check(pvnet_model_load_memory(bytes, size_bytes, &m));
    handle_.reset(m);
  }
  std::string describe() const {
    return text_of([this](char* text, size_t capacity, size_t* needed) {
      return pvnet_model_describe(get(), text, capacity, needed);
    });
  }
  std::string metadata(const char* key) const {
    return text_of([&](char* text, size_t capacity, size_t* needed) {
      return pvnet_model_metadata(get(), key, text, capacity, needed);
    });
  }
  const pvnet_model* get() const { return handle_.get(); }

 private:
  struct Destroy {
    void operator()(pvnet_model* m) const { pvnet_model_destroy(m); }
  };
  std::unique_ptr<pvnet_model, Destroy> handle_;
};

class Plan {
 public:
  explicit Plan(const Model& model, const pvnet_options& options = pvnet_options_default()) {
    pvnet_plan* p = nullptr;
    check(pvnet_plan_compile(model.get(), &options, &p));
    handle_.reset(p);
  }
  pvnet_plan_info info() const {
    pvnet_plan_info i{};
    i.struct_size = sizeof(i);
    check(pvnet_plan_get_info(get(), &i));
    return i;
  }
  ValueInfo input(int index) const {
    ValueInfo i;
    check(pvnet_plan_get_input(get(), index, &i));
    return i;
  }
  ValueInfo output(int index) const {
    ValueInfo i;
    check(pvnet_plan_get_output(get(), index, &i));
    return i;
  }
  int find_output(const char* name) const {
    int index = -1;
    check(pvnet_plan_find_output(get(), name, &index));
    return index;
  }
  std::string describe() const {
    return text_of([this](char* text, size_t capacity, size_t* needed) {
      return pvnet_plan_describe(get(), text, capacity, needed);
    });
  }
  std::string json() const {
    return text_of([this](char* text, size_t capacity, size_t* needed) {
      return pvnet_plan_json(get(), text, capacity, needed);
    });
  }
  const pvnet_plan* get() const { return handle_.get(); }

 private:
  struct Destroy {
    void operator()(pvnet_plan* p) const { pvnet_plan_destroy(p); }
  };
  std::unique_ptr<pvnet_plan, Destroy> handle_;
};

class Stream {
 public:
  explicit Stream(const Plan& plan) {
    pvnet_stream* s = nullptr;
    check(pvnet_stream_create(plan.get(), &s));
    handle_.reset(s);
  }
  void tick(const pvnet_frame* frames, size_t n_frames, const uint8_t* rows = nullptr) {
    check(pvnet_stream_tick(get(), frames, n_frames, rows));
  }
  void tick(std::initializer_list<pvnet_frame> frames, const uint8_t* rows = nullptr) {
    tick(frames.begin(), frames.size(), rows);
  }
  // Frames and outputs in the memory of the plan's device; cuda_stream: a cudaStream_t.
  void tick_device(const pvnet_frame* frames, size_t n_frames, void* cuda_stream,
                   const uint8_t* rows = nullptr) {
    check(pvnet_stream_tick_device(get(), frames, n_frames, rows, cuda_stream));
  }
  const float* device_output(int output, int row) const {
    const float* data = nullptr;
    check(pvnet_stream_device_output(get(), output, row, &data));
    return data;
  }
  bool device_finite() const {
    int finite = 0;
    check(pvnet_stream_device_finite(get(), &finite));
    return finite != 0;
  }
  void read(int output, int row, float* dst, size_t dst_floats) const {
    check(pvnet_stream_read_output(get(), output, row, dst, dst_floats));
  }
  bool valid(int output, int row) const {
    int v = 0;
    check(pvnet_stream_valid(get(), output, row, &v));
    return v != 0;
  }
  int64_t ticks(int row) const {
    int64_t t = 0;
    check(pvnet_stream_ticks(get(), row, &t));
    return t;
  }
  int64_t age_ticks(int output, int row, int stage) const {
    int64_t age = 0;
    check(pvnet_stream_age(get(), output, row, stage, &age));
    return age;
  }
  void reset(const uint8_t* rows = nullptr) { check(pvnet_stream_reset(get(), rows)); }
  std::vector<unsigned char> snapshot() const {
    size_t size_bytes = 0;
    check(pvnet_stream_snapshot_bytes(get(), &size_bytes));
    std::vector<unsigned char> bytes(size_bytes);
    check(pvnet_stream_snapshot(get(), bytes.data(), bytes.size()));
    return bytes;
  }
  void restore(const std::vector<unsigned char>& bytes) {
    check(pvnet_stream_restore(get(), bytes.data(), bytes.size()));
  }
  pvnet_stream* get() const { return handle_.get(); }

 private:
  struct Destroy {
    void operator()(pvnet_stream* s) const { pvnet_stream_destroy(s); }
  };
  std::unique_ptr<pvnet_stream, Destroy> handle_;
};

}  // namespace pvnet::embed
