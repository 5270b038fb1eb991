//! The layout of the view: image large on the left, curves below it, verdict and feature maps on the right.

use rerun::blueprint::components::PanelState;
use rerun::blueprint::{
    Blueprint, BlueprintPanel, ContainerLike, Horizontal, SelectionPanel, Spatial2DView, Tabs, TextDocumentView,
    TextLogView, TimePanel, TimeSeriesView, Vertical,
};

use super::ViewerOptions;

/// Entity paths, shared by layout and recorder.
pub(super) mod path {
    /// Camera image.
    pub const IMAGE: &str = "camera/image";
    /// Judged regions on the image.
    pub const REGIONS: &str = "camera/image/regions";
    /// The region that has the focus, cut out.
    pub const FOCUS: &str = "focus";
    /// Verdicts in words.
    pub const VERDICT: &str = "verdict";
    /// What happened, one line per change of the verdict.
    pub const EVENTS: &str = "events";
    /// p-values of the focus.
    pub const P_VALUES: &str = "p_value";
    /// Negative decimal logarithms of the p-values: high is strange.
    pub const EVIDENCE: &str = "evidence";
    /// Feature maps, one entity per layer below it.
    pub const LAYERS: &str = "layers";
}

/// Timeline of the image stamps.
pub(super) const ROS_TIME: &str = "ros_time";

/// The layout for these options.
pub(super) fn blueprint(options: &ViewerOptions) -> Blueprint {
    let left = Vertical::new([camera(), curves()]).with_row_shares([3.0, 2.0]);
    let mut right = vec![words()];
    let mut shares = vec![2.0];
    for &layer in &options.shown {
        let name = &options.layers[layer];
        right.push(Spatial2DView::new(name.clone()).with_origin(format!("{}/{name}", path::LAYERS)).into());
        shares.push(3.0);
    }
    let right = Vertical::new(right).with_row_shares(shares);
    Blueprint::new(Horizontal::new([left.into(), right.into()]).with_column_shares([3.0, 2.0]))
        .with_auto_views(false)
        .with_auto_layout(false)
        .with_blueprint_panel(BlueprintPanel::from_state(PanelState::Collapsed))
        .with_selection_panel(SelectionPanel::from_state(PanelState::Collapsed))
        .with_time_panel(TimePanel::new().with_state(PanelState::Collapsed).with_timeline(ROS_TIME))
}

fn camera() -> ContainerLike {
    Spatial2DView::new("camera").with_origin(path::IMAGE).into()
}

fn curves() -> ContainerLike {
    let view = |name: &str, origin: &str| TimeSeriesView::new(name).with_origin(origin).into();
    Tabs::new([view("evidence: −log10 p, high is strange", path::EVIDENCE), view("p-values", path::P_VALUES)]).into()
}

fn words() -> ContainerLike {
    let verdict = Horizontal::new([
        TextDocumentView::new("verdict").with_origin(path::VERDICT).into(),
        Spatial2DView::new("strangest region").with_origin(path::FOCUS).into(),
    ])
    .with_column_shares([2.0, 1.0])
    .with_name("verdict");
    Tabs::new([verdict.into(), TextLogView::new("events").with_origin(path::EVENTS).into()]).into()
}
