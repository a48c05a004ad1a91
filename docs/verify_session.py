"""Checks the log of a listening test, by its description in listening.md alone: python3 verify_session.py SESSION [RECEIPT]"""

import hashlib
import hmac
import json
import math
import pathlib
import sys


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def tail(counts, n, p):
    return sum(math.comb(n, k) * p**k * (1 - p) ** (n - k) for k in counts)


def main(folder, receipt=None):
    data = (pathlib.Path(folder) / "log.jsonl").read_bytes()
    assert data.endswith(b"\n"), "the last line is only half written"
    raw = data.splitlines()
    lines = [json.loads(line) for line in raw]
    before = "0" * 64
    for number, (line, text) in enumerate(zip(lines, raw), 1):
        assert line["line"] == number and line["previous"] == before, f"line {number} does not follow the one before"
        before = sha256(text)
    first, second, last = lines[0], lines[1], lines[-1]
    assert [line["kind"] for line in (first, second, last)] == ["configuration", "commitment", "close"], "not complete"
    for name, expected in first["files"].items():
        assert sha256((pathlib.Path(folder) / name).read_bytes()) == expected, f"{name} was changed"
    seed, nonce = bytes.fromhex(last["seed"]), bytes.fromhex(last["nonce"])
    assert sha256(seed + nonce + raw[0]) == second["commitment"], "the commitment is not to this seed and configuration"

    def bits(part, trial):
        byte = hmac.new(seed, f"{part} {trial}".encode(), "sha256").digest()[0]
        return [byte & 1, byte >> 1 & 1]

    trials = [line for line in lines if line["kind"] in ("answer", "void") and line["part"] != "training"]
    expected = [{"part": t["part"], "trial": t["trial"], "bits": bits(t["part"], t["trial"])} for t in trials]
    assert last["mappings"] == expected and last["trials"] == len(trials), "the mappings are not those of the seed"
    answers = [t for t in trials if t["kind"] == "answer" and t["part"] == "test"]
    protocol, result = first["setup"]["protocol"], last["result"]
    question, rule = protocol["question"], protocol["rule"]

    def counts(t):
        swapped, second_bit = bits("test", t["trial"])
        if question == "preference":
            return (t["answer"] == "first") == (swapped == 0)
        return (t["answer"] in ("second", "different")) == (second_bit == 1)

    n, k = len(answers), sum(map(counts, answers))
    assert (result["trials"], result["count"]) == (n, k), "the score is another one"
    if last["end"] == "aborted" or n == 0:
        statistic = None
    elif question == "preference":
        statistic = min(1, 2 * tail(range(min(k, n - k) + 1), n, 0.5))
    elif question == "equivalence":
        statistic = tail(range(k + 1), n, protocol["margin"])
    elif rule == "fixed":
        statistic = tail(range(k, n + 1), n, 0.5)
    elif rule == "sprt":
        statistic = k * math.log(1.5) + (n - k) * math.log(0.5)
    else:
        statistic = 2 * tail(range(k + 1), n + 1, 0.5) / ((n + 1) * tail([k], n, 0.5))
    found = result["statistic"]
    same = statistic is found is None or math.isclose(statistic, found, rel_tol=1e-9, abs_tol=1e-9)
    assert same, f"the statistic is {statistic}, not {found}"
    assert receipt in (None, before), "the receipt is not the hash of the last line"
    print(f"{k} of {n}, statistic {statistic}: as the log says; {'anchored' if receipt else 'not anchored'}")


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except AssertionError as error:
        sys.exit(f"{sys.argv[1]}: {error}")
