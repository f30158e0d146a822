"""The reader of a socket is the one who will wake all others."""
import socket
import threading


def test_socket():
    ours, theirs = socket.socketpair()
    got, ready = [], threading.Condition()

    def read():
        data = ours.recv(16)
        with ready:
            got.append(data)
            ready.notify_all()

    reader = threading.Thread(target=read)
    reader.start()
    sender = threading.Timer(5.5, theirs.sendall, (b"hello",))
    sender.start()
    with ready:
        while not got:
            ready.wait()
    for thread in (reader, sender):
        thread.join()
    ours.close()
    theirs.close()
    assert got == [b"hello"]
