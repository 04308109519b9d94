//! `cargo xtask cluster`: a Kubernetes to try Postern in.
//!
//! Two places can have one, each a [`Machine`]: [`local`], upstream's programs in a network namespace, and [`kind`].
//! All else is the same for both. What is built once is kept in the user's cache; [`layout`] says where.

mod bundle;
mod checks;
mod conformance;
mod current;
mod images;
mod install;
mod kind;
mod layout;
mod local;
mod machine;
mod needs;
mod processes;
mod programs;
mod request;
mod scale;
mod status;

use std::{
    ffi::OsStr,
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, ExitCode, Stdio},
};

use anyhow::{Context as _, bail, ensure};

pub(crate) use self::conformance::{Numbers, numbers};
pub(crate) use self::programs::Program;
pub(crate) use self::request::{Action, ClusterArgs, ConformanceArgs, Engine, Request, ScaleArgs};
use self::{
    checks::Cluster,
    current::Current,
    install::Installation,
    kind::Kind,
    layout::Layout,
    local::{Local, settings},
    machine::Machine,
    processes::Processes,
};
use crate::{terminal::Terminal, workspace};

/// What gives Services of type LoadBalancer their addresses.
const ADDRESSES: &str = "addresses";

/// Does what was asked. The answer is the exit code of the command that was run, if one was.
pub(crate) fn run(request: &Request, terminal: Terminal) -> anyhow::Result<ExitCode> {
    let root = workspace::root()?;
    if request.action == Action::List {
        status::list(terminal)?;
        return Ok(ExitCode::SUCCESS);
    }
    let layout = Layout::of(&request.name)?;
    if let (Engine::Local, Action::Restart { component }) = (request.engine, &request.action) {
        let local = Local::new(layout, &root, terminal)?;
        let _lock = local.layout().lock()?;
        local.restart(component)?;
        return Ok(ExitCode::SUCCESS);
    }
    if let Action::Image { archive } = &request.action {
        needs::ensure_none(&needs::lacking(&[needs::BUILDAH], &[]))?;
        terminal.line(&install::image(&root, &request.profile, archive)?)?;
        return Ok(ExitCode::SUCCESS);
    }
    let machine: Box<dyn Machine> = match request.engine {
        Engine::Local => Box::new(Local::new(layout, &root, terminal)?),
        Engine::Kind => Box::new(Kind::new(layout)),
        Engine::Current => Box::new(Current::new(layout)),
    };
    if builds(&request.action) {
        needs::ensure_none(&machine.lacking())?;
    } else if asks_the_cluster(&request.action) && request.engine == Engine::Local {
        // kubectl is built from its sources.
        needs::ensure_none(&needs::lacking(&[], &[needs::GO]))?;
    }
    let installation = Installation {
        machine: &*machine,
        root: &root,
        terminal,
    };
    match &request.action {
        Action::Status => {
            if !installation.status()? {
                return Ok(ExitCode::FAILURE);
            }
        }
        Action::Install(wanted) => installation.install(&request.profile, *wanted)?,
        Action::Definitions(wanted) => installation.definitions_only(*wanted)?,
        Action::Uninstall => installation.uninstall()?,
        Action::Up => up(&*machine, &root, terminal)?,
        Action::Down => down(&*machine, terminal)?,
        Action::Load { archive, names } => load(&*machine, archive, names)?,
        Action::Kubectl { arguments } => {
            let program = kubectl_program(&root, terminal)?;
            return passed_on(machine.inside(program.as_os_str()).args(arguments));
        }
        Action::Exec { command } => {
            let Some((program, arguments)) = command.split_first() else {
                bail!("there is no command to run");
            };
            return passed_on(machine.inside(OsStr::new(program)).args(arguments));
        }
        Action::Test { filters } => {
            let cluster = Cluster {
                machine: &*machine,
                root: &root,
                terminal,
            };
            if !cluster.check(filters)? {
                return Ok(ExitCode::FAILURE);
            }
        }
        Action::Conformance(asked) => {
            if request.engine != Engine::Current {
                up(&*machine, &root, terminal)?;
            }
            if !conformance::run(installation, asked, &request.profile)? {
                return Ok(ExitCode::FAILURE);
            }
        }
        Action::Scale(options) => return installation.scale(&request.profile, options),
        Action::List | Action::Image { .. } | Action::Restart { .. } => {
            bail!("only the components of the local cluster can be restarted")
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Whether programs or images are built for that, so that it is worth to look first whether all that it needs is there.
const fn builds(action: &Action) -> bool {
    matches!(
        action,
        Action::Up
            | Action::Install(_)
            | Action::Test { .. }
            | Action::Conformance(_)
            | Action::Scale(_)
    )
}

/// Whether kubectl does it.
const fn asks_the_cluster(action: &Action) -> bool {
    matches!(
        action,
        Action::Definitions(_) | Action::Uninstall | Action::Kubectl { .. }
    )
}

/// Starts the cluster unless it runs. Half of one is removed first, and again if this fails.
fn up(machine: &dyn Machine, root: &Path, terminal: Terminal) -> anyhow::Result<()> {
    let _lock = machine.layout().lock()?;
    let name = machine.layout().name();
    let processes = Processes(machine.layout());
    if machine.is_up()? && processes.runs(ADDRESSES) {
        return Ok(terminal.line(&format!("{name} is up"))?);
    }
    let created = destroy(machine).and_then(|()| {
        let addresses = Program::Addresses.built(root, terminal)?;
        machine.create()?;
        let mut command = machine.inside(addresses.as_os_str());
        let (first, last) = settings::BALANCED;
        command
            .args(["--first", first, "--last", last, "--kubeconfig"])
            .arg(machine.layout().kubeconfig());
        processes.start(ADDRESSES, &command)
    });
    if let Err(error) = created {
        let kept = keep_logs(machine.layout());
        if let Err(second) = destroy(machine) {
            terminal.line(&format!("what is left cannot be removed: {second:#}"))?;
        }
        return Err(error.context(format!("{name} cannot be started; its logs: {kept}")));
    }
    let next = machine.command("kubectl -- get nodes");
    Ok(terminal.line(&format!("{name} is up: {next}"))?)
}

fn down(machine: &dyn Machine, terminal: Terminal) -> anyhow::Result<()> {
    let _lock = machine.layout().lock()?;
    destroy(machine)?;
    Ok(terminal.line(&format!("{} is down", machine.layout().name()))?)
}

fn destroy(machine: &dyn Machine) -> anyhow::Result<()> {
    Processes(machine.layout()).stop(ADDRESSES);
    machine.destroy()
}

/// Moves the logs of a failed start out of the way of its removal; the answer is where they are.
fn keep_logs(layout: &Layout) -> String {
    let folder = layout.state().with_extension("failed");
    let _ = fs::remove_dir_all(&folder);
    let _ = fs::create_dir_all(&folder);
    for entry in fs::read_dir(layout.state()).into_iter().flatten().flatten() {
        if entry.path().extension().is_some_and(|e| e == "log") {
            let _ = fs::copy(entry.path(), folder.join(entry.file_name()));
        }
    }
    folder.display().to_string()
}

/// Gives the node an image under these names.
fn load(machine: &dyn Machine, archive: &Path, names: &[String]) -> anyhow::Result<()> {
    let file =
        File::open(archive).with_context(|| format!("{} cannot be read", archive.display()))?;
    let printed = workspace::output_of(
        machine
            .containerd()
            .args(["image", "import", "-"])
            .stdin(Stdio::from(file)),
    )?;
    let loaded = imported(&printed)
        .with_context(|| format!("{} has no image with a name", archive.display()))?;
    for name in names.iter().filter(|name| *name != loaded) {
        let tag = ["image", "tag", "--force", loaded, name];
        workspace::output_of(machine.containerd().args(tag))?;
    }
    Ok(())
}

/// The name of the image that containerd says it has imported.
fn imported(printed: &str) -> Option<&str> {
    printed
        .lines()
        .find_map(|line| line.strip_prefix("unpacking ")?.split(' ').next())
}

/// The kubectl that is installed, or else one that is built.
fn kubectl_program(root: &Path, terminal: Terminal) -> anyhow::Result<PathBuf> {
    match workspace::find_program("kubectl") {
        Some(program) => Ok(program),
        None => Program::Kubectl.built(root, terminal),
    }
}

/// Runs a command as if it had been typed; the answer is its exit code.
fn passed_on(command: &mut Command) -> anyhow::Result<ExitCode> {
    let status = command
        .status()
        .with_context(|| format!("{} cannot be started", workspace::shown(command)))?;
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    ensure!(code.is_some(), "{} was ended", workspace::shown(command));
    Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
}

#[cfg(test)]
mod tests {
    use super::imported;

    #[test]
    fn containerd_says_what_it_has_imported() {
        let printed = "unpacking postern.local/pause:1 (sha256:4c)...done\n";
        assert_eq!(imported(printed), Some("postern.local/pause:1"));
        assert_eq!(imported("nothing\n"), None);
    }
}
