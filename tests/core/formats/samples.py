"""Reports that the tests of all formats share."""

from webhook.core.decision import Finding, Verdict, verdict_of
from webhook.core.formats.about import About
from webhook.core.objects import ObjectRef
from webhook.core.report import Judged, Origin, Report, Unjudged, Unread
from webhook.core.rule import Action, Violation
from webhook.core.rules import RULES

CHECK = About(command="check", version="1.2.3", at="2026-11-25T12:00:00Z")
AUDIT = About(command="audit", version="1.2.3", at="2026-11-25T12:00:00Z")
EMPTY = Report(objects=())


def finding(code: str, action: Action, violation: Violation, *, old: bool = False) -> Finding:
    return Finding(RULES[code], action, violation, old)


def judged(name: str, verdict: Verdict, *findings: Finding, kind: str = "Endpoints") -> Judged:
    return Judged(ref=ObjectRef(kind, "shop", name), verdict=verdict, findings=findings)


def found(ref: ObjectRef, *findings: Finding, cluster: str = "") -> Judged:
    return Judged(ref=ref, verdict=verdict_of(findings), findings=findings, cluster=cluster)


FIELD = "subsets[0].addresses[0].ip"
DENIED = finding(
    "EG201", Action.DENY, Violation(FIELD, "10.0.7.8 is no Pod of yours", "a detail", "a secret")
)
OLD = finding("EG505", Action.WARN, Violation(FIELD, "127.0.0.1 is special"), old=True)
WARNED = finding("EG101", Action.WARN, Violation("metadata.name", "there is no Service"))
NOTED = finding("EG102", Action.AUDIT, Violation("endpoints", "an alias"))
UNREAD = Unread(place="a.yaml, document 2", field="spec.ports[0].port", reason="Expected `int`")
REPORT = Report(
    objects=(
        judged("web", Verdict.DENY, DENIED, WARNED),
        judged("old", Verdict.WARN, OLD),
        judged("fine-abcde", Verdict.ALLOW, kind="EndpointSlice"),
        judged("noted", Verdict.ALLOW, NOTED),
    ),
    unreadable=(UNREAD, Unread(place="b.yaml", field="", reason="Permission denied")),
)
"""Of `check`."""
CLEAN = Report(objects=(judged("web", Verdict.ALLOW),))
FROM_FILE = Report(
    objects=(
        Judged(
            ref=ObjectRef("Endpoints", "shop", "web"),
            verdict=Verdict.DENY,
            findings=(DENIED, WARNED),
            origin=Origin(file="app/a b.yaml", line=12, fields={FIELD: 19}),
        ),
    )
)
GRANT = finding(
    "EG507", Action.AUDIT, Violation("subjects[0]", "Group everybody may write endpoints")
)
AUDITED = Report(
    objects=(
        found(ObjectRef("Endpoints", "calm", "cache"), NOTED, cluster="prod"),
        found(ObjectRef("Endpoints", "shop", "fine"), cluster="prod"),
        found(ObjectRef("Endpoints", "shop", "old"), OLD, cluster="prod"),
        found(ObjectRef("Endpoints", "shop", "web"), WARNED, DENIED, cluster="prod"),
        found(ObjectRef("ClusterRoleBinding", "", "everybody"), GRANT, cluster="lab"),
    ),
    unjudged=(
        Unjudged(cluster="lab", what="Pods", reason="pods is forbidden"),
        Unjudged(cluster="", what="EndpointSlices", reason="timed out"),
    ),
    hidden=3,
)
"""Of `audit`, in two clusters."""
HOSTILE = {
    "a forged line": "x\nallow  Endpoints shop/web",
    "terminal escapes": "\x1b[2J\x1b[31m",
    "a carriage return": "deny\rallow",
    "other ends of lines": "a\u2028b\x85c\x0cd\x0be",
    "text that runs backwards": "\u202eabc",
    "a NUL": "a\x00b",
    "half a character": "a\ud800b",
    "no character": "a\uffffb\ufffe",
    "the end of CDATA": "]]>",
    "the end of a script": "</script><script>alert(1)</script>",
    "an image": "<img src=x onerror=alert(1)>",
    "the end of an attribute": '"\' onfocus=alert(1) autofocus x="',
    "the end of a style": "</style></title></textarea><svg onload=alert(1)>",
    "an escaped end of line": "%0A::error::forged%0D",
    "a workflow command": "::set-output name=x::y\n::error::forged",
    "a cell": "a | b |\n| --- |\n`c` | d",
    "markup": "**b** _i_ [x](http://evil.example) ![y](http://evil.example) <b>z</b> ~~s~~",
    "a mention": "@octocat #1 http://evil.example www.evil.example me@evil.example",
    "an entity": "&lt;b&gt; &amp; &#60;",
    "YAML": "*x: &y !z {a: [b]} # c",
    "100 kB": "x" * 100_000,
}


def hostile(text: str) -> Report:
    """A report that says this text wherever somebody else may have chosen it."""
    violation = Violation(text, text, text, command=text)
    findings = tuple(finding("EG302", action, violation) for action in Action if action.severity)
    ref = ObjectRef("Endpoints", text, text)
    return Report(
        objects=(
            Judged(
                ref=ref,
                verdict=Verdict.DENY,
                findings=findings,
                cluster=text,
                origin=Origin(file=text, line=1),
            ),
            found(ref, *findings),
        ),
        unreadable=(Unread(place=text, field=text, reason=text),),
        unjudged=(Unjudged(cluster=text, what=text, reason=text),),
    )
