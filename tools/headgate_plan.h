// What `headgate plan` prints: what would change and move, a table of the services that it is
// about, then every change and every warning on a line of its own.
#pragma once

#include <memory>

#include "tools/headgate_render.h"

namespace headgate::cli {

[[nodiscard]] std::unique_ptr<Renderer> make_plan_renderer(Format format);

}  // namespace headgate::cli
