// What `headgate show vrrp` prints: a table of the virtual routers, or all about the named one.
#pragma once

#include <memory>

#include "tools/headgate_render.h"

namespace headgate::cli {

// With format.detail all that is known of each row.
[[nodiscard]] std::unique_ptr<Renderer> make_vrrp_renderer(Format format);

}  // namespace headgate::cli
