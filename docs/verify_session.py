"""Checks the record of a listening test, by its description in listening.md alone: python3 verify_session.py SESSION [RECEIPT]

It checks everything but what needs an audio program: that the loop gives the gains, gates and figures of line 1.
"""

import csv
import hashlib
import hmac
import json
import math
import pathlib
import sys


class Fault(Exception):
    pass


def need(is_so, text):
    if not is_so:
        raise Fault(text)


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def tail(counts, n, p):
    return sum(math.comb(n, k) * p**k * (1 - p) ** (n - k) for k in counts)


def statistic(protocol, k, n):
    question, rule = protocol["question"], protocol["rule"]
    if question == "preference":
        return min(1, 2 * tail(range(min(k, n - k) + 1), n, 0.5))
    if question == "equivalence":
        return tail(range(k + 1), n, protocol["margin"])
    if rule == "fixed":
        return tail(range(k, n + 1), n, 0.5)
    if rule == "sprt":
        return k * math.log(1.5) + (n - k) * math.log(0.5)
    return 2 * tail(range(k + 1), n + 1, 0.5) / ((n + 1) * tail([k], n, 0.5))


def finding(protocol, k, n, control):
    """The finding of a test after k of n; None if its rule lets it go on."""
    question, rule, value = protocol["question"], protocol["rule"], statistic(protocol, k, n)
    is_last = n >= protocol["trials"]
    if rule == "sprt" and value >= math.log(0.9 / 0.05) or rule == "e-value" and value >= 20:
        return "difference"
    if rule == "sprt" and value <= math.log(0.1 / 0.95):
        return "rejected"
    if not is_last:
        return None
    if question == "preference" and value <= 0.05:
        return "prefers-a" if 2 * k > n else "prefers-b"
    if question != "preference" and rule == "fixed" and tail(range(k, n + 1), n, 0.5) <= 0.05:
        return "difference"
    is_heard = control in ("passed", "passed-retry")
    if question == "equivalence" and value < 0.05 and is_heard and tail(range(k + 1), n, 0.5) > 0.01:
        return "same"
    return "undecided"


def track(plan, levels, rights):
    """Rungs of the answered trials of a staircase, its reversals, and whether it has ended."""
    rung, rungs, reversals, floor = len(levels) - 1, [], [], 0
    for place, right in enumerate(rights):
        rungs.append(rung)
        if place and right != rights[place - 1]:
            reversals.append(place + 1)
        floor = floor + 1 if right and rung == 0 else 0
        turns = len(reversals)
        step = 1 if len(levels) < 40 or turns >= 3 else 2 if turns else 4
        rung = max(0, rung - step) if right else min(len(levels) - 1, rung + 3 * step)
    ends = len(reversals) >= plan["rule"]["staircase"]["reversals"] or len(rungs) >= plan["trials"] or floor >= 10
    return rungs, reversals, ends


def threshold(levels, rungs, rights):
    """Median and interval of the likelihood of all thresholds in steps of 0.2 dB, averaged over nine spreads."""
    counts = {}
    for rung, right in zip(rungs, rights):
        counts.setdefault(levels[rung], [0, 0])[right] += 1
    points = math.floor((levels[-1] - levels[0] + 12) / 0.2 + 0.5) + 1
    places = [levels[0] - 6 + 0.2 * point for point in range(points)]
    shift = math.log(0.25 / 0.23)

    def log_likelihood(place, spread):
        total = 0
        for level, (wrong, right) in counts.items():
            share = 0.5 + 0.48 / (1 + math.exp(-(level - place) / spread - shift))
            total += right * math.log(share) + wrong * math.log(1 - share)
        return total

    logs = [[log_likelihood(place, spread) for spread in (0.5, 0.7, 1, 1.4, 2, 2.8, 4, 5.6, 8)] for place in places]
    most = max(map(max, logs))
    weights = [sum(math.exp(log - most) for log in row) for row in logs]

    def quantile(share):
        below, wanted = 0, share * sum(weights)
        for place, weight in zip(places, weights):
            if below + weight >= wanted:
                return place + 0.2 * ((wanted - below) / weight - 0.5)
            below += weight
        return places[-1] + 0.2

    return quantile(0.5), quantile(0.0175), quantile(0.9825)


def main(folder, receipt=None):
    folder = pathlib.Path(folder)
    raw = (folder / "log.jsonl").read_bytes().split(b"\n")
    need(raw.pop() == b"", "the last line is only half written")
    lines = [json.loads(line) for line in raw]
    hashes = ["0" * 64] + [sha256(text) for text in raw]
    for number, line in enumerate(lines, 1):
        follows = line["line"] == number and line["previous"] == hashes[number - 1]
        need(follows, f"line {number} does not follow the one before")
    kinds = [line["kind"] for line in lines]
    need(kinds[:2] + kinds[-1:] == ["configuration", "commitment", "close"], "not complete")
    need(not {"configuration", "commitment", "close"} & set(kinds[2:-1]), "a line stands in the wrong place")
    first, last = lines[0], lines[-1]
    need(first["version"] == 1, f"version {first['version']}; expected 1")
    plan = first["setup"]["protocol"]
    difference, preference = plan["question"] == "difference", plan["question"] == "preference"
    asks_threshold = plan["question"] == "threshold"
    levels = [rung["esr_db"] for rung in first["matching"].get("rungs", [])]
    need(asks_threshold == (type(plan["rule"]) is dict) == bool(levels), "no such test can start")
    if asks_threshold:
        reversals = plan["rule"]["staircase"]["reversals"]
        need(16 <= reversals <= 60 and plan["trials"] >= 6 * reversals, "no such test can start")
        rises = all(after - before >= 0.1 for before, after in zip(levels, levels[1:]))
        need(len(levels) >= 6 and rises, "the rungs are no ladder")
    fits = (difference or asks_threshold or plan["rule"] == "fixed") and preference == (plan["form"] == "preference")
    fits = fits and 5 <= plan["trials"] <= 500 and (difference or preference or asks_threshold or 0.5 < plan["margin"] <= 0.8)
    gates = first["matching"].get("gates", [])
    need(fits and all(gate["outcome"] != "failed" for gate in gates), "no such test can start")
    need({"loop.wav", "a.json", "b.json"} <= set(first["files"]), "line 1 does not name the sound and both sides")
    for name, expected in first["files"].items():
        need(sha256((folder / name).read_bytes()) == expected, f"{name} was changed")
    need(first["alpha"] == 0.05 and first["matching"]["identical"] == first["is_aa"], "line 1 contradicts itself")

    # The secret of the start is bound to line 1, each later one to the line before it.
    commitments = [(lines[1]["commitment"], raw[0])]
    commitments += [(line["commitment"], line["previous"].encode()) for line in lines if line["kind"] == "resume"]
    seeds = [(bytes.fromhex(opened["seed"]), bytes.fromhex(opened["nonce"])) for opened in last["seeds"]]
    need(len(seeds) == len(commitments), "the closing line opens more or fewer seeds than there are commitments")
    for (commitment, data), (seed, nonce) in zip(commitments, seeds):
        need(sha256(seed + nonce + data) == commitment, "a commitment is not to this seed and configuration")

    numbers, mappings, rows, rounds, answers, rights = {}, [], [], [], [], []
    control = "none" if first["setup"]["control"] == "none" else "open"
    secret, n, k, found = 0, 0, 0, None
    for line in lines[2:-1]:
        part, place = line.get("part"), f"line {line['line']}"
        secret += line["kind"] == "resume"
        if line["kind"] == "confidence":
            need(answers and "confidence" not in answers[-1], f"{place}: a confidence without an answer")
            answers[-1]["confidence"] = line["confidence"]
            rights = [answer["counts"] for answer in answers]
            if asks_threshold:
                found = "ended" if track(plan, levels, rights)[2] else None
            else:
                found = finding(plan, k, n, control)
        if line["kind"] not in ("answer", "void") or part == "training":
            continue
        numbers[part] = numbers.get(part, 0) + 1
        need(line["trial"] == numbers[part], f"{place}: {part} {line['trial']} stands in the place of {numbers[part]}")
        is_turn = control == "open" if part == "control" else control != "open" and found is None
        need(is_turn and all("confidence" in answer for answer in answers), f"{place}: no trial runs")
        if line["kind"] == "void":
            rows.append([part, str(line["trial"]), "1", "", "", "", "", ""])
            continue
        byte = hmac.new(seeds[secret][0], f"{part} {line['trial']}".encode(), "sha256").digest()[0]
        bits = [byte & 1, byte >> 1 & 1]
        mappings.append({"part": part, "trial": line["trial"], "bits": bits})
        is_first = line["answer"] in ("first", "same")
        is_right = is_first == (bits[1] == 0)
        prefers = "A" if is_first == (bits[0] == 0) else "B"
        is_preference = preference and part == "test"
        score = ["", prefers] if is_preference else [str(int(is_right)), ""]
        rows.append([part, str(line["trial"]), "0", "AB"[bits[0]], str(bits[1]), line["answer"], *score])
        if part == "control":
            rounds.append(is_right)
            if len(rounds) == 5 and all(rounds):
                control = "passed"
            elif len(rounds) == 10:
                control = "passed-retry" if all(rounds[5:]) else "failed"
        else:
            answers.append({"counts": prefers == "A" if preference else is_right, "flags": line["flags"]})
            n, k = n + 1, k + answers[-1]["counts"]
    need(last["mappings"] == mappings and last["trials"] == len(rows), "the mappings are not those of the seeds")
    need(last["end"] == ("complete" if found else "aborted"), f"by its rule the test is not {last['end']}")
    # An e-value holds at any time, a p does not.
    is_e_value = n and plan["rule"] == "e-value"
    value = statistic(plan, k, n) if n and (found or is_e_value) and not asks_threshold else None
    found = finding(plan, k, n, control) if is_e_value else found
    found = "undecided" if first["is_aa"] or not found else found
    sound = [answer["counts"] for answer in answers if not answer["flags"]]
    expected = {"trials": n, "count": k, "flagged": n - len(sound), "count_unflagged": sum(sound)}
    result, course = dict(last["result"]), last.get("track")
    if asks_threshold:
        rungs, reversals, _ = track(plan, levels, rights)
        need(course == {"rungs": rungs, "reversals": reversals}, "the levels do not follow from the answers")
        if found == "ended":
            values = threshold(levels, rungs, rights)
            found = "heard" if values[0] < levels[0] else "unheard" if values[0] > levels[-1] else "threshold"
            values = values[0], min(values[1], levels[-1]), max(values[2], levels[0])
            on_ladder = [value if levels[0] <= value <= levels[-1] else None for value in values]
            is_said = result.pop("threshold")
            for name, value_db in zip(("esr_db", "lower_db", "upper_db"), on_ladder):
                both = (is_said[name], value_db)
                same = both == (None, None) or None not in both and abs(both[0] - both[1]) <= 0.01
                need(same, f"{name} of the threshold is {value_db}, not {is_said[name]}")
    need(asks_threshold or course is None, "a course of a staircase in another test")
    expected |= {"finding": found, "control": control}
    said = result.pop("statistic")
    same = value is said is None or None not in (value, said) and math.isclose(value, said, rel_tol=1e-9, abs_tol=1e-9)
    need(same, f"the statistic is {value}, not {said}")
    need(result == expected, f"the result is {expected}, not {result}")
    with open(folder / "trials.csv", newline="") as file:
        header, *table = csv.reader(file)
    columns = [header.index(name) for name in "part trial void button_1 second_bit answer right preferred".split()]
    need([[row[column] for column in columns] for row in table] == rows, "trials.csv was changed")
    anchor = "not anchored"
    if receipt is not None:
        receipt = receipt.strip().lower()
        need(len(receipt) >= 16 and not set(receipt) - set("0123456789abcdef"), "no receipt; expected 16 digits or more")
        # A commitment binds the lines before it.
        anchors = list(enumerate(hashes))[1:] + [(line["line"] - 1, line.get("commitment", "")) for line in lines]
        found = [line for line, anchor in anchors if anchor.startswith(receipt)]
        need(found, "the receipt is the hash of no line")
        line = found[0]
        anchor = "anchored" if line == len(lines) else f"anchored up to line {line} of {len(lines)}"
    said = f"threshold {last['result'].get('threshold')}" if asks_threshold else f"statistic {value}"
    print(f"{k} of {n}, {said}: as the log says; {anchor}")


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except (Fault, KeyError, ValueError, TypeError, OSError) as error:
        sys.exit(f"{sys.argv[1]}: {error}")
