"""Makes the tables of this folder from two dictionaries that others published; see PROVENANCE.md.

    distill.py <hl7apy sources> <hl7-dictionary package> <folder to write>
"""

import importlib
import json
import re
import subprocess
import sys

VERSIONS = ["2.1", "2.2", "2.3", "2.3.1", "2.4", "2.5", "2.5.1", "2.6", "2.7", "2.8", "2.8.1", "2.8.2"]

# Events whose structure the two sources do not tell by equal contents: table 0354 of the standard, read as facts.
BY_HAND = {
    "ADT_A01": "A04 A08 A13",
    "ADT_A05": "A14 A28 A31",
    "ADT_A06": "A07",
    "ADT_A09": "A10 A11 A12 A32 A33",
    "ADT_A21": "A22 A23 A25 A26 A27 A29",
    "ADT_A30": "A34 A35 A36 A46 A47 A48 A49",
    "ADT_A39": "A40 A41 A42",
    "ADT_A43": "A44 A49",
    "ADT_A44": "A47",
    "ADT_A50": "A51",
    "ADT_A52": "A53",
    "ADT_A54": "A55",
    "ADT_A61": "A62",
    "CRM_C01": "C02 C03 C04 C05 C06 C07 C08",
    "CSU_C09": "C10 C11 C12",
    "LSU_U12": "U13",
    "MDM_T01": "T03 T05 T07 T09 T11",
    "MDM_T02": "T04 T06 T08 T10",
    "MFN_M01": "M14",
    "ORU_R01": "W01",
    "PEX_P07": "P08",
    "PGL_PC6": "PC7 PC8",
    "PMU_B01": "B02",
    "PMU_B04": "B05 B06",
    "PPG_PCG": "PCH PCJ",
    "PPP_PCB": "PCC PCD",
    "PPR_PC1": "PC2 PC3",
    "QBP_Q11": "Z34 Z44",
    "QBP_Q21": "Q22 Q23 Q24 Q25",
    "QRY_PC4": "PC9 PCE PCK",
    "RDE_O11": "O25",
    "REF_I12": "I13 I14 I15",
    "RPA_I08": "I09 I10 I11",
    "RQA_I08": "I09 I10 I11",
    "RQI_I01": "I02 I03 I07",
    "RRE_O12": "O26",
    "RRI_I12": "I13 I14 I15",
    "RSP_K11": "K32 K33 K34",
    "RSP_K21": "K22",
    "RSP_K23": "K24",
    "SIU_S12": "S13 S14 S15 S16 S17 S18 S19 S20 S21 S22 S23 S24 S26 S27",
    "SRM_S01": "S02 S03 S04 S05 S06 S07 S08 S09 S10 S11",
    "SRR_S01": "S02 S03 S04 S05 S06 S07 S08 S09 S10 S11",
}
# The contents tell nothing in versions whose structures were still named by every event.
BY_HAND_SINCE = "2.3"
# Older messages name the type alone, or the event of the order chapter for every kind of order.
TYPE_ALONE = {"ACK": "ACK", "ADT": "ADT_A01", "ORU": "ORU_R01", "ORM": "ORM_O01", "MCF": "ACK"}
ORDERS_BY_TYPE = {
    "OMG": "O19", "OML": "O21", "OMD": "O03", "OMS": "O05", "OMN": "O07", "OMP": "O09", "RDE": "O11", "RDS": "O13",
    "RGV": "O15", "RAS": "O17", "RRE": "O12", "RRD": "O14", "RRG": "O16", "RRA": "O18",
}


def module(version, name):
    return importlib.import_module(f"hl7apy.v{version.replace('.', '_')}.{name}")


def words(name):
    """hl7apy writes names in capitals with underscores; people read words."""
    return " ".join(word.capitalize() if len(word) > 2 else word for word in name.replace("_", " ").split())


def short_name(segment):
    return "ANY" if segment.upper().startswith("ANY") else segment


def entries(element):
    """What is in a segment; one is published without its wrapper."""
    return element if element[0] != "sequence" else element[1] if len(element) > 1 else ()


def bounds(text, low, high):
    repeats = high == -1 or high > 1
    text = "{" + text + "}" if repeats else text
    return "[" + text + "]" if low == 0 else text


def syntax(element, top):
    parts = []
    for name, child, (low, high), kind in element[1]:
        if kind == "GRP":
            short = name[len(top) + 1:] if name.startswith(top + "_") else name
            if short == "CHOICE" or child[0] == "choice":
                parts.append(bounds("<" + "|".join(short_name(leaf[0]) for leaf in child[1] if leaf[3] == "SEG") + ">", low, high))
            else:
                parts.append(bounds(f"{short}: {syntax(child, top)}", low, high))
        else:
            parts.append(bounds(short_name(name), low, high))
    return " ".join(parts)


def flat(element):
    found = []
    for name, child, _, kind in element[1]:
        found += flat(child) if kind == "GRP" else [name]
    return found


def dictionary_flat(entries):
    found = []
    for entry in entries:
        if "children" in entry:
            found += dictionary_flat(entry["children"])
        elif len(entry["name"]) == 3:
            found.append(entry["name"])
    return found


def span(versions):
    """A list of versions as ranges: `2.3-2.5.1 2.7`."""
    places = sorted(VERSIONS.index(version) for version in versions)
    ranges, start = [], None
    for place, following in zip(places, places[1:] + [None]):
        start = place if start is None else start
        if following != place + 1:
            first, last = VERSIONS[start], VERSIONS[place]
            last = "" if place == len(VERSIONS) - 1 else last
            ranges.append(first if first == last else f"{first}-{last}")
            start = None
    return ",".join(ranges)


def structures_of(version):
    """The structures of a version, less those that only repeat another one under the name of a further event."""
    found = dict(module(version, "messages").MESSAGES)
    for structure, events in BY_HAND.items():
        for event in events.split():
            twin = f"{structure.split('_')[0]}_{event}"
            if structure in found and twin in found and syntax(found[structure], structure) == syntax(found[twin], twin):
                del found[twin]
    return found


def write_structures(folder):
    found = {}
    for version in VERSIONS:
        for name, element in structures_of(version).items():
            found.setdefault(name, {}).setdefault(syntax(element, name), []).append(version)
    with open(f"{folder}/structures.txt", "w") as out:
        out.write("# Message structures: versions, then segments and groups in their order.\n")
        out.write("# [optional] {repeating} <one|of> NAME: the contents of a group up to its closing bracket.\n")
        for name in sorted(found):
            out.write(f"\n{name}\n")
            for text, versions in found[name].items():
                out.write(f"  {span(versions)} {text}\n")


def write_events(folder, package):
    found = {}
    for version in VERSIONS:
        structures = structures_of(version)
        script = f"process.stdout.write(JSON.stringify(require('{package}/lib/{version}/messages.js')))"
        try:
            others = json.loads(subprocess.run(["node", "-e", script], capture_output=True, check=True).stdout)
        except subprocess.CalledProcessError:
            others = {}
        pairs, taken = {}, set()
        for name, entry in others.items():
            if name in structures or not re.fullmatch("[A-Z]{3}_[A-Z][A-Z0-9]{2}", name):
                continue
            wanted = dictionary_flat(entry["segments"]["segments"])
            code = name.split("_")[0]
            same = [s for s in structures if s.split("_")[0] == code and flat(structures[s]) == wanted]
            if len(same) >= 1:
                pairs[name.replace("_", "^")] = sorted(same)[0]
        for structure, events in BY_HAND.items():
            if structure not in structures or VERSIONS.index(version) < VERSIONS.index(BY_HAND_SINCE):
                continue
            code = structure.split("_")[0]
            for event in events.split():
                if f"{code}_{event}" not in structures and f"{code}^{event}" not in taken:
                    taken.add(f"{code}^{event}")
                    pairs[f"{code}^{event}"] = structure
        for code, structure in TYPE_ALONE.items():
            if structure in structures:
                pairs[code] = structure
        for code, event in ORDERS_BY_TYPE.items():
            if f"{code}_O01" not in structures and f"{code}_{event}" in structures:
                pairs[f"{code}^O01" if event in ("O19", "O21", "O03", "O05", "O07", "O09", "O11", "O13", "O15", "O17") else f"{code}^O02"] = f"{code}_{event}"
        for pair, structure in pairs.items():
            found.setdefault(structure, {}).setdefault(pair, []).append(version)
    with open(f"{folder}/events.txt", "w") as out:
        out.write("# Which structure a message has whose MSH-9.3 is empty: table 0354. TYPE^EVENT has the structure TYPE_EVENT when\n")
        out.write("# there is one of that name; only the others stand here: structure, versions, then types and events.\n")
        for structure in sorted(found):
            by_versions = {}
            for pair, versions in found[structure].items():
                by_versions.setdefault(span(versions), []).append(pair)
            for versions, pairs in by_versions.items():
                out.write(f"{structure} {versions} {' '.join(sorted(pairs))}\n")


def rows(out, name, found):
    """One line a field: number, versions, type with its marks, name."""
    out.write(f"\n{name}\n")
    for number in sorted(found):
        variants = {}
        for version, (kind, title) in found[number].items():
            variants.setdefault(kind, []).append(version)
        title = found[number][max(found[number], key=VERSIONS.index)][1]
        for kind, versions in variants.items():
            out.write(f"  {number} {span(versions)} {kind} {title}\n")


def write_fields(folder):
    segments = {}
    datatypes = {}
    for version in VERSIONS:
        for name, element in module(version, "segments").SEGMENTS.items():
            if not re.fullmatch("[A-Z][A-Z0-9]{2}", name) or not element:
                continue
            for field, leaf, (low, high), _ in entries(element):
                if not re.fullmatch(f"{name}_[0-9]+", field):
                    continue
                marks = ("!" if low else "") + ("*" if high == -1 else f"*{high}" if high > 1 else "")
                number = int(field.rsplit("_", 1)[1])
                segments.setdefault(name, {}).setdefault(number, {})[version] = ((leaf[2] or "ST") + marks, words(leaf[3] or ""))
        for name, element in module(version, "datatypes").DATATYPES_STRUCTS.items():
            for component, leaf, (low, _), _ in element:
                number = int(component.rsplit("_", 1)[1])
                kind = (leaf[2] or "ST") + ("!" if low else "")
                datatypes.setdefault(name, {}).setdefault(number, {})[version] = (kind, words(leaf[3] or ""))
    with open(f"{folder}/segments.txt", "w") as out:
        out.write("# Fields of segments: number, versions, datatype (! required, * repeats, *3 three times at most), name.\n")
        for name in sorted(segments):
            rows(out, name, segments[name])
    with open(f"{folder}/datatypes.txt", "w") as out:
        out.write("# Components of datatypes: number, versions, datatype (! required), name. A type not here has no components.\n")
        for name in sorted(datatypes):
            rows(out, name, datatypes[name])


if __name__ == "__main__":
    sources, package, folder = sys.argv[1:]
    sys.path.insert(0, sources)
    write_structures(folder)
    write_events(folder, package)
    write_fields(folder)
