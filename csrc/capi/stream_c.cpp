// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "capi/handles.hpp"
#include "capi/trace_json.hpp"

using pvnet::Code;
using pvnet::Result;
using pvnet::Status;
using namespace pvnet::capi;

namespace {

template <class F>
int with_stream(const char* where, const pvnet_stream* stream, F&& f) {
  return guarded([&]() -> Status {
    PVNET_TRY(need(where, "stream", stream));
    // Every call takes its turn, also those that only read: a reader beside a running tick would
    // see half of it.
    const pvnet::CallMark::Turn turn(stream->call);
    PVNET_TRY(turn.status(where));
    return f();
  });
}

Status need_output_and_row(const char* where, const pvnet_stream* stream, int output, int row) {
  const pvnet::Plan& plan = stream->stream->plan();
  PVNET_TRY(need_index(where, "output", output, plan.outputs.size()));
  return need_index(where, "row", row, static_cast<size_t>(plan.options.batch));
}

// Strides with which no memory can hold the frame, from the first byte of it to the last.
Status check_reach(const pvnet_frame& f, size_t i) {
  const bool bytes = f.type == PVNET_U8_HWC;
  const int32_t extents[3] = {bytes ? f.height : f.channels, bytes ? f.width : f.height,
                              bytes ? f.channels : f.width};
  const int64_t element = bytes ? 1 : sizeof(float);
  int64_t reach = 0;
  for (int axis = 0; axis < 3; ++axis) {
    int64_t step = 0;
    const int64_t last = std::max<int64_t>(extents[axis], 1) - 1;
    if (__builtin_mul_overflow(f.strides[axis], last * element, &step) ||
        __builtin_add_overflow(reach, step < 0 ? -(step + 1) : step, &reach)) {
      return refuse("pvnet_stream_tick",
                    "the strides of frame " + std::to_string(i) + " reach beyond any memory",
                    std::to_string(f.strides[axis]), "strides of an array that exists",
                    "Make frames with pvnet_frame_u8 or pvnet_frame_f32");
    }
  }
  return {};
}

// What a caller in C gets wrong where Python cannot: strides that were never set, and addresses.
Status check_f32(const pvnet_frame& f, size_t i) {
  const std::string frame = "frame " + std::to_string(i);
  const bool unset = f.strides[0] == 0 && f.strides[1] == 0 && f.strides[2] == 0;
  if (unset && (f.channels > 1 || f.height > 1 || f.width > 1)) {
    return refuse("pvnet_stream_tick", "the strides of " + frame + " are not set", "0, 0, 0",
                  "floats from one channel, row and column to the next",
                  "Make frames with pvnet_frame_f32");
  }
  if (reinterpret_cast<uintptr_t>(f.data) % alignof(float) != 0) {
    return refuse("pvnet_stream_tick", "the address of " + frame + " is misaligned",
                  "no multiple of the size of a float", "an array of floats",
                  "Copy the pixels into one");
  }
  return {};
}

// frames[i] -> views[i]; the shape is the Stream's to check.
Status read_frames(pvnet_stream* stream, const pvnet_frame* frames, size_t n_frames,
                   const uint8_t* rows) {
  PVNET_TRY(need("pvnet_stream_tick", "frames", frames));
  if (n_frames != stream->views.size()) {
    return refuse("pvnet_stream_tick", "number of frames", std::to_string(n_frames),
                  std::to_string(stream->views.size()) + " (inputs * batch)",
                  "Pass one frame per input and batch row, frozen ones included");
  }
  const size_t batch = static_cast<size_t>(stream->stream->plan().options.batch);
  for (size_t i = 0; i < stream->views.size(); ++i) {
    pvnet::FrameView& view = stream->views[i];
    view = {};
    if (rows != nullptr && rows[i % batch] == 0) continue;
    const pvnet_frame& f = frames[i];
    PVNET_TRY(need("pvnet_stream_tick", "frame data", f.data));
    if (f.type != PVNET_U8_HWC && f.type != PVNET_F32_CHW) {
      return refuse("pvnet_stream_tick", "type of frame " + std::to_string(i),
                    std::to_string(f.type), "PVNET_U8_HWC or PVNET_F32_CHW",
                    "Make frames with pvnet_frame_u8 or pvnet_frame_f32");
    }
    PVNET_TRY(check_reach(f, i));
    if (f.type == PVNET_F32_CHW) PVNET_TRY(check_f32(f, i));
    view.type = f.type == PVNET_U8_HWC ? pvnet::FrameType::u8_hwc : pvnet::FrameType::f32_chw;
    view.data = f.data;
    std::copy(f.strides, f.strides + 3, view.strides);
    view.h = f.height;
    view.w = f.width;
    view.c = f.channels;
  }
  return {};
}

}  // namespace

extern "C" {

int pvnet_stream_create(const pvnet_plan* plan, pvnet_stream** stream) {
  return guarded([&]() -> Status {
    PVNET_TRY(need("pvnet_stream_create", "plan", plan));
    PVNET_TRY(need("pvnet_stream_create", "stream", stream));
    auto handle = std::make_unique<pvnet_stream>();
    auto created = pvnet::StreamCore::create(plan->plan);
    if (!created.ok()) return created.status();
    handle->stream = std::move(created).value();
    handle->views.resize(plan->plan->input_values.size() *
                         static_cast<size_t>(plan->plan->options.batch));
    *stream = handle.release();
    return {};
  });
}

void pvnet_stream_destroy(pvnet_stream* stream) { delete stream; }

int pvnet_stream_tick(pvnet_stream* stream, const pvnet_frame* frames, size_t n_frames,
                      const uint8_t* rows) {
  return with_stream(__func__, stream, [&]() -> Status {
    PVNET_TRY(read_frames(stream, frames, n_frames, rows));
    return stream->stream->tick(stream->views.data(), rows);
  });
}

int pvnet_stream_tick_device(pvnet_stream* stream, const pvnet_frame* frames, size_t n_frames,
                             const uint8_t* rows, void* cuda_stream) {
  return with_stream(__func__, stream, [&]() -> Status {
    PVNET_TRY(read_frames(stream, frames, n_frames, rows));
    const auto number = reinterpret_cast<pvnet::StreamNumber>(cuda_stream);
    const pvnet::TickOrder order{number == 0 ? pvnet::kLegacyStream : number, {}};
    return stream->stream->tick_on_device(stream->views.data(), rows, order,
                                          &stream->device_results);
  });
}

int pvnet_stream_device_output(const pvnet_stream* stream, int output, int row,
                               const float** data) {
  constexpr const char* kWhere = "pvnet_stream_device_output";
  return with_stream(kWhere, stream, [&]() -> Status {
    PVNET_TRY(need(kWhere, "data", data));
    PVNET_TRY(need_output_and_row(kWhere, stream, output, row));
    return stream->stream->with_device(kWhere, [&](pvnet::DeviceTicks& device) -> Status {
      auto rows = device.data(stream->device_results, output);
      if (!rows.ok()) return rows.status();
      *data = rows.value() + row * device.row_floats();
      return {};
    });
  });
}

int pvnet_stream_device_finite(const pvnet_stream* stream, int* finite) {
  constexpr const char* kWhere = "pvnet_stream_device_finite";
  return with_stream(kWhere, stream, [&]() -> Status {
    PVNET_TRY(need(kWhere, "finite", finite));
    return stream->stream->with_device(kWhere, [&](pvnet::DeviceTicks& device) -> Status {
      int frame = 0;
      PVNET_TRY(device.not_finite(stream->device_results, &frame));
      *finite = frame == 0 ? 1 : 0;
      return {};
    });
  });
}

int pvnet_stream_read_output(const pvnet_stream* stream, int output, int row, float* dst,
                             size_t dst_floats) {
  constexpr const char* kWhere = "pvnet_stream_read_output";
  return with_stream(kWhere, stream, [&]() -> Status {
    PVNET_TRY(need(kWhere, "dst", dst));
    PVNET_TRY(need_output_and_row(kWhere, stream, output, row));
    const pvnet::Shape s = stream->stream->plan().outputs[static_cast<size_t>(output)].shape;
    const size_t needed =
        static_cast<size_t>(s.c) * static_cast<size_t>(s.h) * static_cast<size_t>(s.w);
    if (dst_floats != needed) {
      return refuse(kWhere, "size of dst", std::to_string(dst_floats) + " floats",
                    std::to_string(needed) + " floats", "Use pvnet_plan_get_output for the shape");
    }
    return stream->stream->read_output(output, row, dst);
  });
}

int pvnet_stream_valid(const pvnet_stream* stream, int output, int row, int* valid) {
  return with_stream(__func__, stream, [&]() -> Status {
    PVNET_TRY(need("pvnet_stream_valid", "valid", valid));
    PVNET_TRY(need_output_and_row("pvnet_stream_valid", stream, output, row));
    *valid = stream->stream->valid(output, row) ? 1 : 0;
    return {};
  });
}

int pvnet_stream_ticks(const pvnet_stream* stream, int row, int64_t* ticks) {
  return with_stream(__func__, stream, [&]() -> Status {
    PVNET_TRY(need("pvnet_stream_ticks", "ticks", ticks));
    PVNET_TRY(need_output_and_row("pvnet_stream_ticks", stream, 0, row));
    *ticks = stream->stream->ticks_done(row);
    return {};
  });
}

int pvnet_stream_age(const pvnet_stream* stream, int output, int row, int stage,
                     int64_t* age_ticks) {
  return with_stream(__func__, stream, [&]() -> Status {
    PVNET_TRY(need("pvnet_stream_age", "age_ticks", age_ticks));
    PVNET_TRY(need_output_and_row("pvnet_stream_age", stream, output, row));
    PVNET_TRY(need_index("pvnet_stream_age", "stage", stage,
                         static_cast<size_t>(stream->stream->plan().graph.n_stages())));
    *age_ticks = stream->stream->age_ticks(output, row, stage);
    return {};
  });
}

int pvnet_stream_reset(pvnet_stream* stream, const uint8_t* rows) {
  return with_stream(__func__, stream, [&]() -> Status { return stream->stream->reset(rows); });
}

int pvnet_stream_snapshot_bytes(const pvnet_stream* stream, size_t* size_bytes) {
  return with_stream(__func__, stream, [&]() -> Status {
    PVNET_TRY(need("pvnet_stream_snapshot_bytes", "size_bytes", size_bytes));
    *size_bytes = stream->stream->snapshot_bytes();
    return {};
  });
}

int pvnet_stream_snapshot(const pvnet_stream* stream, void* dst, size_t size_bytes) {
  return with_stream(__func__, stream, [&]() -> Status {
    PVNET_TRY(need("pvnet_stream_snapshot", "dst", dst));
    return stream->stream->snapshot(dst, size_bytes);
  });
}

int pvnet_stream_restore(pvnet_stream* stream, const void* src, size_t size_bytes) {
  return with_stream(__func__, stream, [&]() -> Status {
    PVNET_TRY(need("pvnet_stream_restore", "src", src));
    return stream->stream->restore(src, size_bytes);
  });
}

int pvnet_stream_trace_start(pvnet_stream* stream, size_t capacity_events) {
  return with_stream(__func__, stream, [&]() -> Status {
    stream->trace.clear();
    return stream->stream->trace_start(capacity_events);
  });
}

int pvnet_stream_trace_stop(pvnet_stream* stream, const char** json) {
  return with_stream(__func__, stream, [&]() -> Status {
    PVNET_TRY(need("pvnet_stream_trace_stop", "json", json));
    stream->trace = trace_json(stream->stream->plan(), stream->stream->trace_stop());
    stream->stream->trace_clear();
    *json = stream->trace.c_str();
    return {};
  });
}

}  // extern "C"
