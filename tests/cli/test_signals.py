"""Ctrl-C, SIGTERM and SIGHUP, held back or noted for the length of a block."""

from __future__ import annotations

import signal
import threading

import pytest

from trackcli.signals import signals_held, signals_noted


def test_signals_are_noted_in_their_order_and_act_as_before_afterwards() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with signals_noted() as came:
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGINT)
    assert came == [signal.SIGTERM, signal.SIGINT]
    assert signal.getsignal(signal.SIGTERM) is before
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="needs SIGHUP")
def test_a_closed_terminal_is_noted_unless_it_is_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    try:
        with signals_noted() as came:
            signal.raise_signal(signal.SIGHUP)
        assert came == [signal.SIGHUP]
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup leaves it
        with signals_noted() as came:
            signal.raise_signal(signal.SIGHUP)
        assert came == []
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_block_that_fails_still_lets_the_signal_act() -> None:
    with pytest.raises(KeyboardInterrupt) as caught, signals_held():
        signal.raise_signal(signal.SIGINT)
        raise ValueError("the block failed")
    assert isinstance(caught.value.__context__, ValueError)


def test_other_threads_leave_the_handlers_alone() -> None:
    handlers = []

    def work() -> None:
        with signals_held(), signals_noted():
            handlers.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert handlers == [signal.default_int_handler]
