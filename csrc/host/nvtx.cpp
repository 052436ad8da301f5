// SPDX-License-Identifier: Apache-2.0
#include "host/nvtx.hpp"

#if __has_include(<nvtx3/nvToolsExt.h>)
#include <mutex>

#include <nvtx3/nvToolsExt.h>

namespace pvnet::nvtx {
namespace {

nvtxDomainHandle_t handle() {
  return static_cast<nvtxDomainHandle_t>(detail::domain.load(std::memory_order_relaxed));
}

nvtxEventAttributes_t attributes(Category category, int64_t payload) {
  nvtxEventAttributes_t a = {};
  a.version = NVTX_VERSION;
  a.size = NVTX_EVENT_ATTRIB_STRUCT_SIZE;
  a.category = static_cast<uint32_t>(category);
  a.payloadType = NVTX_PAYLOAD_TYPE_INT64;
  a.payload.llValue = payload;
  return a;
}

void name_category(nvtxDomainHandle_t domain, Category category, const char* text) {
  nvtxDomainNameCategoryA(domain, static_cast<uint32_t>(category), text);
}

}  // namespace

std::atomic<void*> detail::domain{nullptr};

bool built() { return true; }

void attach() {
  static std::once_flag once;
  std::call_once(once, [] {
    const nvtxDomainHandle_t made = nvtxDomainCreateA("pvnet");  // null without a profiler
    if (made == nullptr) return;
    name_category(made, Category::tick, "tick");
    name_category(made, Category::stage, "stage");
    name_category(made, Category::io, "io");
    detail::domain.store(made, std::memory_order_relaxed);
  });
}

Name name(const char* text) {
  return attached() ? nvtxDomainRegisterStringA(handle(), text) : nullptr;
}

void detail::push(Category category, Name name, int64_t payload) {
  nvtxEventAttributes_t a = attributes(category, payload);
  a.messageType = NVTX_MESSAGE_TYPE_REGISTERED;
  a.message.registered = static_cast<nvtxStringHandle_t>(const_cast<void*>(name));
  nvtxDomainRangePushEx(handle(), &a);
}

void push(Category category, const char* text, int64_t payload) {
  if (!attached()) return;
  nvtxEventAttributes_t a = attributes(category, payload);
  a.messageType = NVTX_MESSAGE_TYPE_ASCII;
  a.message.ascii = text;
  nvtxDomainRangePushEx(handle(), &a);
}

void pop() {
  if (attached()) nvtxDomainRangePop(handle());
}

}  // namespace pvnet::nvtx

#else  // no headers: no profiler is ever attached

namespace pvnet::nvtx {

std::atomic<void*> detail::domain{nullptr};
bool built() { return false; }
void attach() {}
Name name(const char*) { return nullptr; }
void detail::push(Category, Name, int64_t) {}
void push(Category, const char*, int64_t) {}
void pop() {}

}  // namespace pvnet::nvtx

#endif
