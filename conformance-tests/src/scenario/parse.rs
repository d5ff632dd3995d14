//! Markdown to scenarios.

use super::search::{data, searches};
use super::{Exchange, Expectation, Scenario};

#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ScenarioError {
    #[error("line {0}: a block stands before the first `##` heading")]
    NoScenario(usize),
    #[error("line {0}: expected a request line such as `GET /fhir/Patient/1`")]
    RequestLine(usize),
    #[error("line {0}: expected `Name: value`")]
    HeaderLine(usize),
    #[error("line {0}: an `expect` block without a request before it")]
    NoRequest(usize),
    #[error("line {0}: the request has no `expect` block behind it")]
    NoExpectation(usize),
    #[error("line {0}: expected a status, a header, `where`, `contains`, `lacks` or `let`")]
    Expectation(usize),
    #[error("line {0}: expected a resource with an id, in one line")]
    Data(usize),
    #[error(
        "line {0}: expected `QUERY -> IDS`, `-> in order: IDS`, `-> nothing` or `-> STATUS TEXT`"
    )]
    Search(usize),
    #[error("line {0}: the block is never closed")]
    Unclosed(usize),
}

pub(super) struct Block<'a> {
    kind: &'a str,
    /// The line of the fence.
    pub(super) line: usize,
    pub(super) lines: Vec<&'a str>,
}

pub fn parse(text: &str) -> Result<Vec<Scenario>, ScenarioError> {
    let mut scenarios: Vec<Scenario> = Vec::new();
    let mut open: Option<Block<'_>> = None;
    for (index, line) in text.lines().enumerate() {
        let number = index + 1;
        if let Some(mut block) = open.take() {
            if line.trim_end() == "```" {
                close(&block, &mut scenarios)?;
            } else {
                block.lines.push(line);
                open = Some(block);
            }
        } else if let Some(kind) = line.strip_prefix("```") {
            open = Some(Block {
                kind: kind.trim(),
                line: number,
                lines: Vec::new(),
            });
        } else if let Some(title) = line.strip_prefix("## ") {
            scenarios.push(Scenario {
                title: title.trim().to_owned(),
                exchanges: Vec::new(),
            });
        }
    }
    if let Some(block) = open {
        return Err(ScenarioError::Unclosed(block.line));
    }
    let unanswered = scenarios
        .iter()
        .flat_map(|scenario| &scenario.exchanges)
        .find(|exchange| exchange.expectations.is_empty());
    match unanswered {
        Some(exchange) => Err(ScenarioError::NoExpectation(exchange.line)),
        None => Ok(scenarios),
    }
}

fn close(block: &Block<'_>, scenarios: &mut [Scenario]) -> Result<(), ScenarioError> {
    let scenario = scenarios.last_mut();
    match block.kind {
        "http" => scenario
            .ok_or(ScenarioError::NoScenario(block.line))?
            .exchanges
            .push(request(block)?),
        "data" => scenario
            .ok_or(ScenarioError::NoScenario(block.line))?
            .exchanges
            .extend(data(block)?),
        "search" => scenario
            .ok_or(ScenarioError::NoScenario(block.line))?
            .exchanges
            .extend(searches(block)?),
        "expect" => scenario
            .and_then(|scenario| scenario.exchanges.last_mut())
            .ok_or(ScenarioError::NoRequest(block.line))?
            .expectations
            .extend(expectations(block)?),
        _ => {}
    }
    Ok(())
}

fn request(block: &Block<'_>) -> Result<Exchange, ScenarioError> {
    let mut lines = block.lines.iter();
    let (method, path) = lines
        .next()
        .and_then(|line| line.split_once(' '))
        .ok_or(ScenarioError::RequestLine(block.line + 1))?;
    let mut headers = Vec::new();
    for (index, line) in lines.by_ref().enumerate() {
        if line.is_empty() {
            break;
        }
        let (name, value) = line
            .split_once(':')
            .ok_or(ScenarioError::HeaderLine(block.line + 2 + index))?;
        headers.push((name.trim().to_owned(), value.trim().to_owned()));
    }
    Ok(Exchange {
        line: block.line,
        method: method.to_owned(),
        path: path.trim().to_owned(),
        headers,
        body: lines.copied().collect::<Vec<_>>().join("\n"),
        expectations: Vec::new(),
    })
}

fn expectations(block: &Block<'_>) -> Result<Vec<Expectation>, ScenarioError> {
    let mut expectations = Vec::new();
    for (index, line) in block.lines.iter().enumerate() {
        let line = line.trim();
        if !line.is_empty() {
            expectations
                .push(expectation(line).ok_or(ScenarioError::Expectation(block.line + 1 + index))?);
        }
    }
    Ok(expectations)
}

fn expectation(line: &str) -> Option<Expectation> {
    if let Ok(status) = line.parse() {
        return Some(Expectation::Status(status));
    }
    if let Some(expression) = line.strip_prefix("where ") {
        return Some(Expectation::Where(expression.to_owned()));
    }
    if let Some(text) = line.strip_prefix("contains ") {
        return Some(Expectation::Contains(text.to_owned()));
    }
    if let Some(text) = line.strip_prefix("lacks ") {
        return Some(Expectation::Lacks(text.to_owned()));
    }
    if let Some(binding) = line.strip_prefix("let ") {
        let (name, expression) = binding.split_once(" = ")?;
        let name = name.trim().to_owned();
        return Some(match expression.strip_prefix("header ") {
            Some(header) => Expectation::LetHeader {
                name,
                header: header.trim().to_owned(),
            },
            None => Expectation::Let {
                name,
                expression: expression.trim().to_owned(),
            },
        });
    }
    let (name, pattern) = line.split_once(": ")?;
    Some(Expectation::Header {
        name: name.to_owned(),
        pattern: pattern.trim().to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_conversation_is_read() {
        let scenarios = parse(
            "# Create\n\n## One\nProse.\n```http\nPOST /fhir/Patient\nPrefer: return=minimal\n\n{\n}\n```\n```expect\n201\nETag: W/\"1\"\n\
             where Patient.exists()\ncontains x y\nlacks z\nlet id = Patient.id\nlet place = header Location\n```\n## Two\n",
        )
        .unwrap();
        assert_eq!(scenarios.len(), 2);
        let exchange = &scenarios[0].exchanges[0];
        assert_eq!(
            (exchange.method.as_str(), exchange.path.as_str()),
            ("POST", "/fhir/Patient")
        );
        assert_eq!(
            exchange.headers,
            [("Prefer".into(), "return=minimal".into())]
        );
        assert_eq!(exchange.body, "{\n}");
        assert_eq!(exchange.expectations.len(), 7);
        assert_eq!(exchange.expectations[0], Expectation::Status(201));
    }

    #[test]
    fn mistakes_are_named_by_line() {
        assert_eq!(
            parse("```http\nGET /\n```\n"),
            Err(ScenarioError::NoScenario(1))
        );
        assert_eq!(
            parse("## a\n```expect\n200\n```\n"),
            Err(ScenarioError::NoRequest(2))
        );
        assert_eq!(
            parse("## a\n```http\nGET /\n```\n"),
            Err(ScenarioError::NoExpectation(2))
        );
        assert_eq!(
            parse("## a\n```http\nGET /\n```\n```expect\nbogus\n```\n"),
            Err(ScenarioError::Expectation(6))
        );
        assert_eq!(
            parse("## a\n```http\nGET\n```\n"),
            Err(ScenarioError::RequestLine(3))
        );
        assert_eq!(parse("## a\n```http\n"), Err(ScenarioError::Unclosed(2)));
    }
}
