//! The local provider runs real programs in real sandboxes.

mod local {
    mod attach;
    mod fence;
    mod house;
    mod images;
    mod limits;
    mod run;
    mod secrets;
    mod sessions;
}
