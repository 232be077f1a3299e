import os

from train import hardware


def test_the_machine_is_described(monkeypatch, tmp_path):
    (tmp_path / "cpuinfo").write_text("processor : 0\nmodel name\t: Some CPU @ 2 GHz\n" * 2)
    monkeypatch.setattr(hardware, "_CPU_INFO", tmp_path / "cpuinfo")
    found = hardware.hardware()
    assert found == {"cpu": "Some CPU @ 2 GHz", "cores": os.cpu_count(), "gpus": []}
    assert hardware.hardware_text({**found, "cores": 2, "gpus": ["NVIDIA L4"]}) == (
        "2 cores of Some CPU @ 2 GHz, NVIDIA L4"
    )


def test_without_proc_the_architecture_is_said(monkeypatch, tmp_path):
    monkeypatch.setattr(hardware, "_CPU_INFO", tmp_path / "none")
    monkeypatch.setattr(hardware.platform, "machine", lambda: "arm64")
    assert hardware.hardware()["cpu"] == "arm64"
