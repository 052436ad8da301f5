// SPDX-License-Identifier: Apache-2.0
namespace pvnet::cuda {

template <class F>
Status CudaEngine::guarded(const char* where, F&& work) const {
  PVNET_TRY(failure_);
  const DeviceScope scope(device_);
  Status status = scope.status(where);
  if (status.ok()) status = work();
  return status.ok() ? status : find_failure(status, where);
}

}  // namespace pvnet::cuda
