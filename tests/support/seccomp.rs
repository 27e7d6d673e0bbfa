//! Simulates kernels and sandboxes that lack a system call, with a filter that answers the call
//! with an error.

use std::collections::BTreeMap;

use seccompiler::{
    SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule, TargetArch,
    apply_filter,
};

/// A system call, with any arguments or with a given value of one argument.
#[derive(Debug, Clone, Copy)]
pub struct Call {
    number: i64,
    argument: Option<(u8, u64)>,
}

impl Call {
    pub const fn any(number: i64) -> Self {
        Self { number, argument: None }
    }

    /// Only if the argument at `index`, as an `int`, is `value`.
    pub const fn with(number: i64, index: u8, value: u64) -> Self {
        Self { number, argument: Some((index, value)) }
    }
}

/// Makes the kernel answer these calls with an error. The filter holds for the calling thread and
/// the threads that it starts, and cannot be removed.
pub fn refuse(calls: &[Call], errno: i32) {
    let mut rules = BTreeMap::<i64, Vec<SeccompRule>>::new();
    for call in calls {
        // No rule means every call of this number.
        let rules = rules.entry(call.number).or_default();
        if let Some((index, value)) = call.argument {
            let condition = SeccompCondition::new(index, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, value);
            rules.push(SeccompRule::new(vec![condition.unwrap()]).unwrap());
        }
    }
    let architecture = TargetArch::try_from(std::env::consts::ARCH).unwrap();
    let answer = SeccompAction::Errno(errno as u32);
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, answer, architecture).unwrap();
    apply_filter(&seccompiler::BpfProgram::try_from(filter).unwrap()).expect("a filter");
}
