// SPDX-License-Identifier: Apache-2.0
// A profiler for tests, as Nsight is one: NVTX loads it by NVTX_INJECTION64_PATH. It writes down
// what it is told, and hands it out as lines of text.
#include <mutex>
#include <string>
#include <vector>

#include <nvtx3/nvToolsExt.h>

namespace {

std::mutex mutex;
std::string lines;
std::vector<std::string> domains, strings;
int threads = 0;
thread_local int thread = -1;
thread_local std::vector<size_t> open;  // domains of the ranges that this thread has open

int number_of_thread() {
  if (thread < 0) thread = threads++;
  return thread;
}

template <class Handle>
Handle handle_of(size_t index) {  // never null
  return reinterpret_cast<Handle>(index + 1);
}
template <class Handle>
size_t index_of(Handle handle) {
  return reinterpret_cast<size_t>(handle) - 1;
}

nvtxDomainHandle_t NVTX_API create(const char* name) {
  const std::lock_guard<std::mutex> lock(mutex);
  domains.emplace_back(name);
  lines += "domain " + domains.back() + "\n";
  return handle_of<nvtxDomainHandle_t>(domains.size() - 1);
}

nvtxStringHandle_t NVTX_API register_string(nvtxDomainHandle_t, const char* text) {
  const std::lock_guard<std::mutex> lock(mutex);
  strings.emplace_back(text);
  return handle_of<nvtxStringHandle_t>(strings.size() - 1);
}

void NVTX_API name_category(nvtxDomainHandle_t domain, uint32_t category, const char* name) {
  const std::lock_guard<std::mutex> lock(mutex);
  lines += "category " + domains.at(index_of(domain)) + " " + std::to_string(category) + " " +
           name + "\n";
}

// push THREAD DEPTH DOMAIN CATEGORY PAYLOAD MESSAGE
int NVTX_API push(nvtxDomainHandle_t domain, const nvtxEventAttributes_t* a) {
  const std::lock_guard<std::mutex> lock(mutex);
  const bool whole = a->payloadType == NVTX_PAYLOAD_TYPE_INT64 && a->version == NVTX_VERSION;
  const std::string message = a->messageType == NVTX_MESSAGE_TYPE_REGISTERED
                                  ? strings.at(index_of(a->message.registered))
                                  : a->message.ascii;
  lines += "push " + std::to_string(number_of_thread()) + " " + std::to_string(open.size()) + " " +
           domains.at(index_of(domain)) + " " + std::to_string(a->category) + " " +
           (whole ? std::to_string(a->payload.llValue) : "none") + " " + message + "\n";
  open.push_back(index_of(domain));
  return static_cast<int>(open.size()) - 1;
}

// pop THREAD DEPTH DOMAIN; depth -1: nothing was open, or another domain's range
int NVTX_API pop(nvtxDomainHandle_t domain) {
  const std::lock_guard<std::mutex> lock(mutex);
  const bool balanced = !open.empty() && open.back() == index_of(domain);
  if (balanced) open.pop_back();
  lines += "pop " + std::to_string(number_of_thread()) + " " +
           (balanced ? std::to_string(open.size()) : "-1") + " " + domains.at(index_of(domain)) +
           "\n";
  return balanced ? static_cast<int>(open.size()) : -1;
}

template <class Function>
void put(NvtxFunctionTable table, size_t at, Function function) {
  *table[at] = reinterpret_cast<NvtxFunctionPointer>(function);
}

}  // namespace

extern "C" {

// All lines since the last call; valid until the next one.
NVTX_DYNAMIC_EXPORT const char* nvtx_counter_take() {
  static std::string taken;
  const std::lock_guard<std::mutex> lock(mutex);
  taken.swap(lines);
  lines.clear();
  return taken.c_str();
}

NVTX_DYNAMIC_EXPORT int NVTX_API InitializeInjectionNvtx2(NvtxGetExportTableFunc_t export_table) {
  const auto* callbacks =
      static_cast<const NvtxExportTableCallbacks*>(export_table(NVTX_ETID_CALLBACKS));
  if (callbacks == nullptr) return 0;
  NvtxFunctionTable table = nullptr;
  unsigned int size = 0;
  if (!callbacks->GetModuleFunctionTable(NVTX_CB_MODULE_CORE2, &table, &size)) return 0;
  if (size <= NVTX_CBID_CORE2_DomainCreateA) return 0;
  put(table, NVTX_CBID_CORE2_DomainCreateA, create);
  put(table, NVTX_CBID_CORE2_DomainRegisterStringA, register_string);
  put(table, NVTX_CBID_CORE2_DomainNameCategoryA, name_category);
  put(table, NVTX_CBID_CORE2_DomainRangePushEx, push);
  put(table, NVTX_CBID_CORE2_DomainRangePop, pop);
  return 1;
}
}
