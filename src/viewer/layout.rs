//! The layout of the view: image large on the left, curves below it, verdict and feature maps on the right.

use rerun::EntityPath;
use rerun::blueprint::components::PanelState;
use rerun::blueprint::{
    Blueprint, BlueprintPanel, ContainerLike, Grid, Horizontal, SelectionPanel, Spatial2DView, StateTimelineView, Tabs,
    TextDocumentView, TextLogView, TimePanel, TimeSeriesView, Vertical,
};

use super::ViewerOptions;
use super::recorder::VERDICT_CURVES;

/// Entity paths, shared by layout and recorder.
pub(super) mod path {
    /// Camera image.
    pub const IMAGE: &str = "camera/image";
    /// Judged regions on the image.
    pub const REGIONS: &str = "camera/image/regions";
    /// The region that has the focus, cut out.
    pub const FOCUS: &str = "focus";
    /// The same with heat where it differs from the training images.
    pub const DEVIATION: &str = "deviation";
    /// Binary patterns beside the nearest ones seen in training.
    pub const PATTERNS: &str = "patterns";
    /// Verdicts in words.
    pub const VERDICT: &str = "verdict";
    /// What happened, one line per change of the verdict.
    pub const EVENTS: &str = "events";
    /// p-values of the focus.
    pub const P_VALUES: &str = "p_value";
    /// Negative decimal logarithms of the p-values: high is strange.
    pub const EVIDENCE: &str = "evidence";
    /// Evidence that the camera shows something else than before, as decimal logarithms.
    pub const CHANGE: &str = "change";
    /// Lanes of states: of the camera, and of the region that has the focus.
    pub const STATES: &str = "states";
    /// Feature maps, one entity per layer below it.
    pub const LAYERS: &str = "layers";

    /// The path of a camera's entity; `None` for the only camera.
    pub fn of(camera: Option<&str>, entity: &str) -> String {
        camera.map_or_else(|| entity.to_owned(), |camera| format!("{camera}/{entity}"))
    }
}

/// Pictures of layers beside each other.
const LAYER_COLUMNS: usize = 2;

/// Timeline of the image stamps.
pub(super) const ROS_TIME: &str = "ros_time";

/// The layout for these options: one page per camera.
pub(super) fn blueprint(options: &ViewerOptions) -> Blueprint {
    let page = |camera: &String| ContainerLike::from(page(options, Some(camera)).with_name(camera));
    let root = match &options.cameras[..] {
        [] => self::page(options, None).into(),
        cameras => ContainerLike::from(Tabs::new(cameras.iter().map(page))),
    };
    Blueprint::new(root)
        .with_auto_views(false)
        .with_auto_layout(false)
        .with_blueprint_panel(BlueprintPanel::from_state(PanelState::Collapsed))
        .with_selection_panel(SelectionPanel::from_state(PanelState::Collapsed))
        .with_time_panel(TimePanel::new().with_state(PanelState::Collapsed).with_timeline(ROS_TIME))
}

/// What is known of one camera.
fn page(options: &ViewerOptions, camera: Option<&str>) -> Horizontal {
    let image = Spatial2DView::new("camera").with_origin(path::of(camera, path::IMAGE)).into();
    let lanes = StateTimelineView::new("states").with_origin(path::of(camera, path::STATES)).into();
    let left = Vertical::new([image, curves(camera), lanes]).with_row_shares([6.0, 4.0, 1.4]);
    let mut right = vec![words(camera)];
    let mut shares = vec![3.5];
    if !options.shown.is_empty() {
        let columns = options.shown.len().min(LAYER_COLUMNS);
        shares.push(3.0 * options.shown.len().div_ceil(columns) as f32);
        right.push(layers(options, camera).with_grid_columns(columns as u32).into());
    }
    if options.monitor.is_some() {
        let patterns = Spatial2DView::new("pattern above the nearest of the training, differences red");
        right.push(patterns.with_origin(path::of(camera, path::PATTERNS)).into());
        shares.push(2.0);
    }
    let right = Vertical::new(right).with_row_shares(shares);
    Horizontal::new([left.into(), right.into()]).with_column_shares([3.0, 2.0])
}

fn layers(options: &ViewerOptions, camera: Option<&str>) -> Grid {
    Grid::new(options.shown.iter().map(|&layer| {
        let name = &options.layers[layer];
        let origin = path::of(camera, &format!("{}/{name}", path::LAYERS));
        Spatial2DView::new(name.clone()).with_origin(origin).into()
    }))
}

fn curves(camera: Option<&str>) -> ContainerLike {
    let view = |name: &str, origin: &str| TimeSeriesView::new(name).with_origin(path::of(camera, origin));
    let verdict = VERDICT_CURVES.map(|(name, ..)| format!("$origin{}", EntityPath::from(name)));
    Tabs::new([
        view("evidence: −log10 p, high is strange", path::EVIDENCE).with_contents(verdict).into(),
        view("of all detectors", path::EVIDENCE).into(),
        view("p-values", path::P_VALUES).into(),
        view("camera: log10 of the evidence for a change", path::CHANGE).into(),
    ])
    .into()
}

fn words(camera: Option<&str>) -> ContainerLike {
    let verdict = Horizontal::new([
        TextDocumentView::new("verdict").with_origin(path::of(camera, path::VERDICT)).into(),
        Spatial2DView::new("strangest").with_origin(path::of(camera, path::FOCUS)).into(),
        Spatial2DView::new("where").with_origin(path::of(camera, path::DEVIATION)).into(),
    ])
    .with_column_shares([5.0, 3.0, 3.0])
    .with_name("verdict");
    Tabs::new([verdict.into(), TextLogView::new("events").with_origin(path::of(camera, path::EVENTS)).into()]).into()
}
