//! Starting this program again in another role.

use std::env;
use std::error::Error;
use std::process::Command;

use crate::arena::Arena;

/// Returns a command that runs this program again, in another role.
pub(crate) fn own_role(role: &str, arena: &Arena, number: u64) -> Result<Command, Box<dyn Error>> {
    let program = env::current_exe().map_err(|error| format!("cannot find this program: {error}"))?;
    let mut command = Command::new(program);
    // Our own arguments, followed by the additional ones, which override them.
    command.args(env::args_os().skip(1)).args(["--role", role, "--number", &number.to_string()]);
    command.arg("--store").arg(arena.location.to_string()).arg("--directory").arg(&arena.directory);
    Ok(command)
}
