//! A third party plugin: the backend acme.shelf and the proxy acme.hit_counter.
