// SPDX-License-Identifier: Apache-2.0
namespace pvnet::cuda {

template <class F>
Status CudaEngine::guarded(const char* where, F&& work) const {
  PVNET_TRY(failure_);
  const DeviceScope scope(device_);
  PVNET_TRY(scope.status(where));
  Status status = work();
  return status.ok() ? status : find_failure(status, where);
}

}  // namespace pvnet::cuda
