"""What may be believed about a token without asking."""

from __future__ import annotations

import time

from tricircle.adapters.cloud.token_cache import TokenCache, Tokens, Verdict, find_tokens
from tricircle.core.model import Caller, ProjectId, UserId
from tricircle.testing.clock import FakeClock

CALLER = Caller(UserId("u"), ProjectId("p"), frozenset({"member"}), token="t" * 180)
TOKENS = Tokens(b"t" * 180)
ANY = ("GET", "/v2.1/servers")


def make_cache(size: int = 10) -> tuple[TokenCache, FakeClock]:
    clock = FakeClock(100)
    return TokenCache(size, clock.now_s), clock


async def test_a_verdict_is_believed_for_its_life_and_no_longer() -> None:
    cache, clock = make_cache()
    cache.keep(TOKENS, *ANY, Verdict(CALLER, False, 10))
    assert cache.find_caller(TOKENS, *ANY) is CALLER
    assert cache.find_caller(TOKENS, "POST", "/else") is CALLER
    await clock.advance(10)
    assert cache.find_caller(TOKENS, *ANY) is None


async def test_a_refusal_is_believed_for_its_life_and_no_longer() -> None:
    cache, clock = make_cache()
    cache.keep(TOKENS, *ANY, Verdict(None, False, 5))
    assert cache.is_refused(TOKENS, *ANY)
    await clock.advance(5)
    assert not cache.is_refused(TOKENS, *ANY)


def test_a_verdict_without_life_is_not_kept() -> None:
    cache, _ = make_cache()
    cache.keep(TOKENS, *ANY, Verdict(CALLER, False, 0))
    assert cache.find_caller(TOKENS, *ANY) is None


def test_a_verdict_on_access_rules_holds_for_its_method_and_path_only() -> None:
    cache, _ = make_cache()
    cache.keep(TOKENS, "GET", "/a", Verdict(CALLER, True, 10))
    assert cache.find_caller(TOKENS, "GET", "/a") is CALLER
    assert cache.find_caller(TOKENS, "POST", "/a") is None
    assert cache.find_caller(TOKENS, "GET", "/b") is None
    cache.keep(TOKENS, "POST", "/a", Verdict(None, True, 10))
    assert cache.is_refused(TOKENS, "POST", "/a")
    assert not cache.is_refused(TOKENS, "GET", "/a")


def test_the_whole_token_and_the_service_token_make_the_difference() -> None:
    cache, _ = make_cache()
    cache.keep(TOKENS, *ANY, Verdict(CALLER, False, 10))
    assert cache.find_caller(Tokens(b"t" * 179 + b"u"), *ANY) is None
    assert cache.find_caller(Tokens(b"t" * 179), *ANY) is None
    assert cache.find_caller(Tokens(b"t" * 180, b"s"), *ANY) is None


def test_the_cache_is_bounded_and_bad_tokens_do_not_push_out_good_ones() -> None:
    cache, _ = make_cache(size=3)
    cache.keep(TOKENS, *ANY, Verdict(CALLER, False, 10))
    for number in range(100):
        cache.keep(Tokens(b"bad%d" % number), *ANY, Verdict(None, False, 10))
    assert cache.find_caller(TOKENS, *ANY) is CALLER
    for number in range(3):
        cache.keep(Tokens(b"good%d" % number), *ANY, Verdict(CALLER, False, 10))
    assert cache.find_caller(TOKENS, *ANY) is None
    assert not cache.is_refused(Tokens(b"bad0"), *ANY)


def test_a_token_that_was_revoked_is_forgotten_when_it_is_refused() -> None:
    cache, _ = make_cache()
    cache.keep(TOKENS, *ANY, Verdict(CALLER, False, 10))
    cache.keep(TOKENS, *ANY, Verdict(None, False, 10))
    assert cache.find_caller(TOKENS, *ANY) is None


def test_blanks_around_a_token_are_no_part_of_it() -> None:
    assert find_tokens([(b"x-auth-token", b" t \t")]) == Tokens(b"t")


def test_a_request_with_two_tokens_of_a_kind_has_none() -> None:
    user, service = (b"x-auth-token", b"t"), (b"x-service-token", b"s")
    assert find_tokens([user, service]) == Tokens(b"t", b"s")
    assert find_tokens([user, user]) is None
    assert find_tokens([user, service, service]) is None
    assert find_tokens([service]) is None
    assert find_tokens([(b"x-auth-token", b"  ")]) is None
    assert find_tokens([(b"x-auth-token", b"t" * 20_000)]) is None


def test_neither_tokens_nor_cache_show_the_token() -> None:
    cache, _ = make_cache()
    tokens = Tokens(b"canary", b"canary")
    cache.keep(tokens, *ANY, Verdict(CALLER, False, 10))
    assert "canary" not in repr(tokens)
    assert "canary" not in repr(vars(cache))


def test_a_look_costs_a_few_microseconds() -> None:
    cache, _ = make_cache()
    headers = [(b"x-header-%d" % number, b"value") for number in range(9)]
    headers.append((b"x-auth-token", TOKENS.user))
    cache.keep(TOKENS, *ANY, Verdict(CALLER, False, 1000))
    best_s = 1.0
    for _ in range(20):
        started = time.perf_counter()
        for _ in range(100):
            tokens = find_tokens(headers)
            assert tokens is not None
            cache.find_caller(tokens, *ANY)
        best_s = min(best_s, (time.perf_counter() - started) / 100)
    assert best_s < 50e-6  # about 3 µs; the bound only catches a different order
