use proptest::prelude::*;

use super::*;

const OPEN: &str = "<div xmlns=\"http://www.w3.org/1999/xhtml\">";

fn div(inner: &str) -> String {
    format!("{OPEN}{inner}</div>")
}

fn problems(inner: &str) -> Vec<String> {
    check(&div(inner))
        .into_iter()
        .map(|problem| problem.message)
        .collect()
}

fn cleaned(inner: &str) -> String {
    let text = sanitise(&div(inner)).into_owned();
    assert_eq!(check(&text), [], "{text}");
    let inner = text
        .strip_prefix(OPEN)
        .and_then(|text| text.strip_suffix("</div>"));
    inner.unwrap_or_else(|| panic!("{text}")).to_owned()
}

#[test]
fn good_narratives_pass_and_stay_as_they_are() {
    for inner in [
        "text",
        "<p class='a'  style=\"color : red\">a &amp; b &#160; &lt;script&gt;</p>",
        "<table border=\"1\"><tbody><tr><td colspan='2'>x</td></tr></tbody></table>",
        "<a href=\"http://example.org\">x</a><a name=\"n\">y</a><a href='#n'>z</a>",
        "<img src=\"#pic\" alt=\"\"/><img src='data: image/png;base64,AAAA'/><br />",
        "<ul><li xml:lang=\"de\">ä</li></ul>",
    ] {
        assert_eq!(problems(inner), Vec::<String>::new(), "{inner}");
        let text = div(inner);
        assert!(
            matches!(sanitise(&text), std::borrow::Cow::Borrowed(_)),
            "{inner}"
        );
    }
}

#[test]
fn what_is_not_allowed_is_told_and_goes() {
    for (inner, told, left) in [
        ("a<script>alert(1)</script>b", "`script`", "ab"),
        ("a<SCRIPT>alert(1)</SCRIPT>b", "`SCRIPT`", "ab"),
        ("<p onclick=\"x()\">a</p>", "`onclick`", "<p>a</p>"),
        (
            "<font color=\"red\">a <b>c</b></font>",
            "`font`",
            "a <b>c</b>",
        ),
        ("<form action=\"x\">a<input/></form>", "`form`", "a"),
        ("<iframe src=\"http://x\">a</iframe>b", "`iframe`", "b"),
        ("<a href=\"javascript:x()\">a</a>", "`href`", "<a>a</a>"),
        (
            "<a href=\" jAva\tscr&#10;ipt&#58;x()\">a</a>",
            "`href`",
            "<a>a</a>",
        ),
        (
            "<a href=\"&#x1;javascript:x()\">a</a>",
            "names no character",
            "",
        ),
        ("<a href=\"data:text/html,x\">a</a>", "`href`", "<a>a</a>"),
        ("a<img src=\"data:image/svg+xml,x\"/>", "`src`", "a<img/>"),
        (
            "<p style=\"background: url(http://x)\">a</p>",
            "style",
            "<p>a</p>",
        ),
        (
            "<p style=\"width: exp/**/ression(x)\">a</p>",
            "style",
            "<p>a</p>",
        ),
        (
            "a<svg xmlns=\"http://www.w3.org/2000/svg\" onload=\"x()\"><b>c</b></svg>",
            "`svg`",
            "a",
        ),
        ("a<?php x ?>", "processing instruction", "a"),
        ("<p xml:base=\"x\">a</p>", "`base`", "<p>a</p>"),
    ] {
        let problems = problems(inner);
        assert!(
            problems.iter().any(|problem| problem.contains(told)),
            "{inner}: {problems:?}"
        );
        if !left.is_empty() {
            assert_eq!(cleaned(inner), left, "{inner}");
        }
    }
}

#[test]
fn what_browsers_read_differently_is_rewritten() {
    for (inner, left) in [
        ("<!--><img src=x onerror=x()>-->a", "a"),
        (
            "<![CDATA[x><img src=x onerror=x()>]]>",
            "x&gt;&lt;img src=x onerror=x()&gt;",
        ),
        ("<a name=\"n\"/>a", "<a name=\"n\"></a>a"),
        ("a<br></br>b", "a<br/>b"),
        (
            "<h:b xmlns:h=\"http://www.w3.org/1999/xhtml\">a</h:b>",
            "<b>a</b>",
        ),
    ] {
        assert_eq!(cleaned(inner), left);
    }
}

#[test]
fn a_narrative_is_a_div_with_content() {
    for (text, rule, message) in [
        (
            "<p xmlns=\"http://www.w3.org/1999/xhtml\">a</p>",
            Rule::Txt1,
            "expected a div",
        ),
        ("<div>a</div>", Rule::Txt1, "not in the namespace"),
        ("a", Rule::Txt1, "outside of the root"),
        ("", Rule::Txt1, "expected an element"),
        (&div(" \n<p> </p><img alt='x'/>"), Rule::Txt2, "is empty"),
        (&div("<p>"), Rule::Txt1, "expected `</p>`"),
    ] {
        let problems = check(text);
        assert_eq!(problems.len(), 1, "{text}: {problems:?}");
        assert_eq!(problems[0].rule, rule, "{text}");
        assert!(problems[0].message.contains(message), "{problems:?}");
        assert_eq!(check(&sanitise(text)), [], "{text}");
    }
}

#[test]
fn broken_text_is_shown_as_text() {
    assert_eq!(cleaned("a&nbsp;b & c &zzz;"), "a\u{a0}b &amp; c &amp;zzz;");
    let text = sanitise("<div><p>a</div>");
    assert_eq!(text, div("&lt;div&gt;&lt;p&gt;a&lt;/div&gt;"));
    assert_eq!(check(&sanitise(&"<div>".repeat(100_000))), []);
}

#[test]
fn problems_know_their_place_and_have_a_bound() {
    let text = div("<p>a</p><u>b</u>");
    assert_eq!(
        usize::try_from(check(&text)[0].at).unwrap(),
        text.find("<u>").unwrap()
    );
    assert_eq!(problems(&"<u/>".repeat(1000)).len(), PROBLEMS_MAX);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 2000, ..ProptestConfig::default() })]

    /// Pieces of markup thrown together: nothing panics, and what comes out is good and comes out again.
    #[test]
    fn whatever_goes_in_good_narrative_comes_out(pieces in prop::collection::vec(prop_oneof![
        Just("<div xmlns=\"http://www.w3.org/1999/xhtml\">"), Just("</div>"), Just("<p>"), Just("</p>"), Just("<br/>"), Just("<a href='"),
        Just("javascript:"), Just("'>"), Just("</a>"), Just("<!--"), Just("-->"), Just("<![CDATA["), Just("]]>"), Just("&nbsp;"), Just("&#1;"),
        Just("&lt;"), Just("<script>"), Just("</script>"), Just("<svg xmlns='s' x:y=\"\">"), Just("</svg>"), Just("<?x"), Just("?>"), Just("\""),
        Just("\u{1}"), Just("é"), Just(" onclick=\"x\""), Just("<img src='data:image/png,'/>"), Just(">"), Just("<"), Just("&"), Just("text "),
    ], 0..12)) {
        let inner: String = pieces.concat();
        for text in [inner.clone(), div(&inner)] {
            let clean = sanitise(&text).into_owned();
            prop_assert_eq!(check(&clean), [], "{} became {}", text, clean);
            prop_assert!(!clean.contains("<script") && !clean.contains("<!"), "{}", clean);
            prop_assert_eq!(&*sanitise(&clean), &*clean);
        }
    }
}

#[test]
fn an_ampersand_that_begins_no_entity_is_text() {
    let many = "&".repeat(100_000);
    let shown = sanitise(&many);
    assert_eq!(shown.matches("&amp;").count(), 100_000);
    let shown = sanitise("<div>a&nbsp;b &amp c &thisisnoentity; é&</div>");
    let text = "a\u{a0}b &amp;amp c &amp;thisisnoentity; é&amp;";
    assert!(shown.contains(text), "{shown}");
}
