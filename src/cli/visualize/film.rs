//! Pictures of many images, one after the other.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::Context;
use image::RgbImage;

use super::Visualize;
use super::source::{Shot, Source};
use super::studio::{Look, Studio};
use crate::cli::{interrupt, message, output, progress};
use crate::frame::encode_png;
use crate::viewer::{PageRecorder, ViewerError};
use crate::visualize::{Animation, Scales};

/// What is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Picture,
    Apng,
    Rerun,
}

impl Kind {
    /// Told by the end of the file's name.
    pub(super) fn of(path: &Path) -> anyhow::Result<Self> {
        match path.extension().and_then(OsStr::to_str).map(str::to_lowercase).as_deref() {
            Some("png") => Ok(Self::Picture),
            Some("apng") => Ok(Self::Apng),
            Some("rrd") if cfg!(feature = "viewer") => Ok(Self::Rerun),
            Some("rrd") => Err(ViewerError::NotBuilt.into()),
            _ => anyhow::bail!("{} does not end in .png, .apng or .rrd: name what to write", path.display()),
        }
    }
}

/// What all pictures have in common.
#[derive(Default)]
struct Plan {
    scales: Vec<Scales>,
    size: (u32, u32),
    pictures: u32,
    remarks: BTreeSet<String>,
    /// Images of which no region is shown.
    without_region: u64,
    unreadable: Vec<String>,
}

/// Where pictures go.
enum Reel {
    Apng { animation: Animation, partial: PathBuf },
    Rerun(PageRecorder),
}

/// Looks at all images twice: to learn what scales hold for all of them, then to draw. What was drawn when the user wants to
/// stop is written.
pub(super) fn shoot(command: &Visualize, kind: Kind, studio: &Studio, source: &Source) -> anyhow::Result<()> {
    let plan = plan(command, studio, source)?;
    let mut reel = Reel::new(command, kind, &plan)?;
    let drawn = draw(command, studio, source, &plan, &mut reel);
    let (written, place) = reel.end(&command.output, drawn)?;
    eprintln!("wrote {written} pictures of {} to {}", plan.pictures, place.display());
    anyhow::ensure!(!interrupt::is_set(), "interrupted: what was done up to there is written");
    Ok(())
}

fn plan(command: &Visualize, studio: &Studio, source: &Source) -> anyhow::Result<Plan> {
    let mut plan = Plan::default();
    let damage = each(command, source, "looking", |shot| {
        match shot.and_then(|shot| shot.map(|shot| studio.look(shot)).transpose()) {
            Ok(Some(look)) => plan.add(studio, &look),
            Ok(None) => plan.without_region += 1,
            Err(error) => plan.unreadable.push(message(&error)),
        }
        Ok(())
    })?;
    interrupt::check()?;
    damage.iter().for_each(|text| eprintln!("warning: {text}"));
    plan.say();
    anyhow::ensure!(plan.pictures > 0, "none of the images of {} can be shown", command.input.display());
    Ok(plan)
}

/// What cannot be shown was said in the first round.
fn draw(command: &Visualize, studio: &Studio, source: &Source, plan: &Plan, reel: &mut Reel) -> anyhow::Result<()> {
    each(command, source, "drawing", |shot| {
        let Ok(Some(shot)) = shot else { return Ok(()) };
        let nanos = shot.nanos;
        let Ok(look) = studio.look(shot) else { return Ok(()) };
        reel.add(&studio.draw(&look, &plan.scales)?, nanos)
    })
    .map(drop)
}

fn each(
    command: &Visualize,
    source: &Source,
    title: &str,
    sink: impl FnMut(anyhow::Result<Option<Shot>>) -> anyhow::Result<()>,
) -> anyhow::Result<Vec<String>> {
    let bar = progress::of_images(source.len(), title);
    let damage = source.each(command.every, || bar.inc(1), sink)?;
    bar.finish_and_clear();
    Ok(damage)
}

impl Plan {
    fn add(&mut self, studio: &Studio, look: &Look) {
        let (scales, (width, height)) = (look.scales(), studio.size(look));
        self.scales = match &self.scales[..] {
            [] => scales,
            known => known.iter().zip(scales).map(|(known, scales)| known.join(scales)).collect(),
        };
        self.size = (self.size.0.max(width), self.size.1.max(height));
        self.pictures += 1;
        self.remarks.extend(look.remarks());
    }

    fn say(&self) {
        self.remarks.iter().for_each(|remark| eprintln!("note: {remark}"));
        if self.without_region > 0 {
            eprintln!("note: {} images without a region are left out; --whole-images shows them", self.without_region);
        }
        if !self.unreadable.is_empty() {
            let heading = format!("{} images are unreadable and left out:", self.unreadable.len());
            output::warn(&heading, self.unreadable.iter());
        }
    }
}

impl Reel {
    fn new(command: &Visualize, kind: Kind, plan: &Plan) -> anyhow::Result<Self> {
        if kind == Kind::Rerun {
            return Ok(Self::Rerun(PageRecorder::open(&command.output)?));
        }
        let partial = output::partial(&command.output);
        let animation = Animation::new(&partial, plan.size, plan.pictures, 1000 / command.fps);
        let animation = animation.with_context(|| cannot_write(&command.output))?;
        Ok(Self::Apng { animation, partial })
    }

    fn add(&mut self, picture: &RgbImage, nanos: Option<u64>) -> anyhow::Result<()> {
        match self {
            Self::Apng { animation, .. } => Ok(animation.add(picture)?),
            Self::Rerun(recorder) => Ok(recorder.add(encode_png(picture)?, nanos)?),
        }
    }

    /// Completes the file, or removes it where drawing failed. Returns the number of pictures and where they are.
    fn end(self, place: &Path, drawn: anyhow::Result<()>) -> anyhow::Result<(u64, PathBuf)> {
        match self {
            Self::Apng { animation, partial } => {
                let written = animation.written();
                let ended = drawn.and_then(|()| complete(animation, &partial, place));
                if ended.is_err() {
                    // The error is what matters; without room there may be no way to clean up either.
                    let _ = std::fs::remove_file(&partial);
                }
                ended.with_context(|| cannot_write(place))?;
                Ok((written.into(), place.to_owned()))
            }
            Self::Rerun(recorder) => {
                drawn?;
                Ok(recorder.finish()?)
            }
        }
    }
}

fn complete(animation: Animation, partial: &Path, place: &Path) -> anyhow::Result<()> {
    if animation.written() == 0 {
        return Err(io::Error::other("interrupted before the first picture was drawn").into());
    }
    animation.finish()?;
    Ok(std::fs::rename(partial, place)?)
}

fn cannot_write(place: &Path) -> String {
    format!("cannot write {}", place.display())
}
