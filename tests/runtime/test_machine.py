"""What a record tells of its machine."""

from __future__ import annotations

from pvnet.runtime.machine import machine_record


def test_a_record_has_the_settings_of_the_environment_and_no_paths(tmp_path, monkeypatch):
    monkeypatch.setenv("PVNET_CACHE", str(tmp_path))
    monkeypatch.setenv("PVNET_CPU_ISA", "avx2")
    environment = machine_record()["environment"]
    assert environment["PVNET_CPU_ISA"] == "avx2"
    assert "PVNET_CACHE" not in environment
