import pickle
import socket
import time

from beam_jobs.progress import Progress, ProgressListener, ProgressSender


def wait_for(listener: ProgressListener, expected: Progress) -> None:
    deadline = time.monotonic() + 60
    while listener.progress != expected and time.monotonic() < deadline:
        time.sleep(0.01)
    assert listener.progress == expected


def test_what_workers_send_is_summed_up():
    with ProgressListener("run") as listener:
        senders = [
            pickle.loads(pickle.dumps(ProgressSender(listener.address, "run"))) for _ in range(2)
        ]
        for sender in senders:
            sender.add(total=10)
            for _ in range(3):
                sender.add(done=1)
            sender.add(done=1, failed=1)
            sender.flush()
        wait_for(listener, Progress(total=20, done=8, failed=2))


def test_datagrams_of_others_count_for_nothing():
    with ProgressListener("run") as listener:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
            for junk in (b"\xff", b"[]", b"{}", b'{"token": "x", "done": 9}', b'"run"'):
                other.sendto(junk, listener.address)
            other.sendto(b'{"token": "run", "gone": 1}', listener.address)
        sender = ProgressSender(listener.address, "run")
        sender.add(done=1)
        wait_for(listener, Progress(done=1))


def test_a_sender_without_address_or_listener_does_no_harm():
    silent = ProgressSender()
    silent.add(done=1)
    silent.flush()
    with ProgressListener("run") as listener:
        address = listener.address
    late = ProgressSender(address, "run")
    late.add(done=1)
    late.flush()


def test_a_sender_pickles_after_use_and_keeps_nothing_pending():
    with ProgressListener("run") as listener:
        sender = ProgressSender(listener.address, "run")
        sender.add(done=1)
        sender.add(done=5)
        copy = pickle.loads(pickle.dumps(sender))
        copy.flush()
        wait_for(listener, Progress(done=1))
        sender.flush()
        wait_for(listener, Progress(done=6))
