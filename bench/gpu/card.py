"""The card: its multiprocessors, L2, copy bandwidth and bf16 matrix rate, on random data."""

from __future__ import annotations

import statistics

import torch

from gpu.record import Record, program

SIZE, DRY_SIZE = 8192, 128
COPY_BYTES, DRY_COPY_BYTES = 2 << 30, 1 << 20
WARM, ROUNDS = 3, 10


def milliseconds(work, device: torch.device) -> float:
    """Median of some calls; on a CPU it is that of the wall clock's."""
    from gpu.timing import Watch

    times = []
    for number in range(WARM + ROUNDS):
        watch = Watch(real=device.type == "cuda")
        work()
        if number >= WARM:
            times.append(watch.stop_us() / 1e3)
    return statistics.median(times)


def body(record: Record, dry: bool) -> None:
    if not dry and not torch.cuda.is_available():
        raise SystemExit("torch sees no CUDA device")
    device = torch.device("cpu" if dry else "cuda")
    n = DRY_SIZE if dry else SIZE
    a, b = (torch.randn(n, n, device=device).to(torch.bfloat16) for _ in range(2))
    out = torch.empty_like(a)
    product_ms = milliseconds(lambda: torch.matmul(a, b, out=out), device)
    size = DRY_COPY_BYTES if dry else COPY_BYTES
    source = torch.randint(0, 255, (size,), dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    copy_ms = milliseconds(lambda: target.copy_(source), device)
    rate, copied = 2e-9 * n**3 / product_ms, 2e-9 * size / copy_ms
    row = {"cpu_bf16_tflops": rate, "cpu_copy_tb_per_s": copied}
    if not dry:
        facts = torch.cuda.get_device_properties(0)
        row = {
            "bf16_tflops": rate,
            "copy_tb_per_s": copied,
            "sms": facts.multi_processor_count,
            "l2_mb": getattr(facts, "L2_cache_size", 0) / 2**20,
            "memory_gb": facts.total_memory / 2**30,
            "capability": f"{facts.major}.{facts.minor}",
            "torch": torch.__version__,
        }
    record.add(**row)


if __name__ == "__main__":
    program("card", body)
