//! What every provider of sandboxes must do, told through [`sandbox::Provider`]
//! alone. A new provider adds its constructor to `conformance::world`.

mod conformance {
    mod capture;
    mod egress;
    mod release;
    mod speed;
    mod unprivileged;
    mod world;
}
