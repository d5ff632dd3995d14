//! What a row cannot do without: most fields of most messages are empty, and their rows need not be tried.

use super::super::plan::{Base, CallPlan, ConditionPlan, ExpressionPlan, RowPlan, SourcePath};

/// The children of the node of its block or type map without which a row says nothing, a bit for each.
pub(super) fn of_row(row: &RowPlan, own: Base) -> u64 {
    let (each, own) = match (&row.each, own) {
        (None, own) => (0, own),
        (Some(each), Base::It(out)) => (of_path(each, own), Base::It(out + 1)),
        (Some(each), Base::Block(_)) => (of_path(each, own), own),
    };
    let makes_of_nothing = row.calls.iter().any(|call| match call {
        CallPlan::Function(function, _) => function.takes_nothing,
        CallPlan::Code(..) => false,
    });
    let source = match makes_of_nothing {
        true => 0,
        false => of_expression(&row.source, own),
    };
    let condition = row.condition.as_ref();
    each | source | condition.map_or(0, |condition| of_condition(condition, own))
}

pub(super) fn of_path(path: &SourcePath, own: Base) -> u64 {
    let first = path.steps.first().filter(|_| path.base == own);
    first.map_or(0, |step| {
        1u64.checked_shl(u32::from(step.number)).unwrap_or(0)
    })
}

fn of_expression(expression: &ExpressionPlan, own: Base) -> u64 {
    match expression {
        ExpressionPlan::Path(path) => of_path(path, own),
        ExpressionPlan::Call(function, arguments) if !function.takes_nothing => arguments
            .first()
            .map_or(0, |argument| of_expression(argument, own)),
        _ => 0,
    }
}

fn of_condition(condition: &ConditionPlan, own: Base) -> u64 {
    match condition {
        ConditionPlan::Valued(path) | ConditionPlan::Null(path) => of_path(path, own),
        ConditionPlan::Compare {
            left,
            is_equal: true,
            right,
        } if right.iter().all(says_something) => of_expression(left, own),
        ConditionPlan::Compare { .. } | ConditionPlan::Not(_) => 0,
        ConditionPlan::All(all) => {
            let needs = all.iter().map(|one| of_condition(one, own));
            needs.fold(0, |all, one| all | one)
        }
        ConditionPlan::Any(all) => {
            let needs = all.iter().map(|one| of_condition(one, own));
            needs.reduce(|all, one| all & one).unwrap_or(0)
        }
    }
}

/// It is a text, and not an empty one: nothing is not equal to it.
fn says_something(expression: &ExpressionPlan) -> bool {
    match expression {
        ExpressionPlan::Literal(value) => value.as_str().is_some_and(|text| !text.is_empty()),
        _ => false,
    }
}
