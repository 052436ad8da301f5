"""What a record tells of its machine."""

from __future__ import annotations

from pvnet.runtime.installation import cpu_of
from pvnet.runtime.machine import machine_record


def test_a_record_has_the_settings_of_the_environment_and_no_paths(tmp_path, monkeypatch):
    monkeypatch.setenv("PVNET_CACHE", str(tmp_path))
    monkeypatch.setenv("PVNET_CPU_ISA", "avx2")
    environment = machine_record()["environment"]
    assert environment["PVNET_CPU_ISA"] == "avx2"
    assert "PVNET_CACHE" not in environment


def test_a_cpu_has_the_numbers_of_its_generation_beside_its_name():
    fields = "processor\t: {}\ncpu family\t: {}\nmodel\t\t: {}\nmodel name\t: AMD EPYC\n"
    second = fields.format(1, 1, 1)
    assert cpu_of(fields.format(0, 25, 17) + second) == "AMD EPYC (family 25, model 17)"
    assert cpu_of(fields.format(0, 26, 2) + second) == "AMD EPYC (family 26, model 2)"
    arm = "processor\t: 0\nCPU implementer\t: 0x41\nCPU part\t: 0xd40\nModel\t: Some board\n"
    assert cpu_of(arm) == "Some board (implementer 0x41, part 0xd40)"
    assert cpu_of("") == ""
    assert cpu_of("model name : One\n") == "One"
