// SPDX-License-Identifier: Apache-2.0
// Random small networks: every op, kernels, strides, dilations, clocks, delays, feedback, concats
// of concats, several inputs and outputs; any wiring. The same one for the same seed.
#pragma once

#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include "graph/graph.hpp"

#include "nets.hpp"

namespace nets {

class RandomNet {
 public:
  explicit RandomNet(uint32_t seed) : rng_(seed) {}

  pvnet::Graph make(int nodes) {
    const int h = pick({3, 4, 6}), w = pick({3, 5, 8});
    add("input", {}, "\"channels\":" + num(pick({1, 3, 3, 8, 17})) + size(h, w) + mean_std(false));
    if (chance(25)) add("input", {}, "\"channels\":" + num(pick({1, 9})) + size(h, w));
    const bool loop = chance(40);
    if (loop) {
      add("feedback", {"back"},
          "\"channels\":2" + size(h, w) + ",\"ticks\":" + num(pick({1, 1, 2, 5})));
    }
    for (int tries = 0; tries < 20 * nodes && static_cast<int>(names_.size()) < nodes; ++tries) {
      grow();
    }
    if (loop) {
      std::string from = names_[0];
      for (const std::string& n : names_) {
        const auto& s = shape(n);
        if (s.h == h && s.w == w && chance(30)) from = n;
      }
      add("conv3d", {from}, R"("out":2,"kernel":[1,1,1])", "back");
    }
    for (size_t i = names_.size(); i-- > 0 && graph_.outputs().empty();) output(names_[i]);
    for (int i = 0; i < 2; ++i) {
      if (chance(40)) output(any());
    }
    return graph_;
  }

  // Wired at random; sequential where the wiring drawn does not fit.
  pvnet::Graph make_wired(int nodes) {
    const pvnet::Graph g = make(nodes);
    const auto wiring = pick({pvnet::Wiring::sequential, pvnet::Wiring::pipelined,
                              pvnet::Wiring::predictive, pvnet::Wiring::predictive});
    auto wired = g.wire(wiring, pick({1, 2, 3, 4}));
    return wired.ok() ? wired.value() : g;
  }

 private:
  std::mt19937 rng_;
  pvnet::Graph graph_;
  std::vector<std::string> names_;

  template <class T>
  T pick(std::initializer_list<T> of) {
    return of.begin()[rng_() % of.size()];
  }
  bool chance(unsigned percent) { return rng_() % 100 < percent; }
  static std::string num(int64_t x) { return std::to_string(x); }
  static std::string size(int h, int w) { return ",\"height\":" + num(h) + ",\"width\":" + num(w); }
  const std::string& any() {
    // Recent ones more often, so that networks get deep.
    const size_t n = names_.size();
    return names_[chance(60) ? n - 1 - rng_() % std::min<size_t>(n, 3) : rng_() % n];
  }
  const pvnet::Shape& shape(const std::string& name) const {
    return graph_.nodes()[static_cast<size_t>(graph_.find(name))].shape;
  }
  std::string mean_std(bool always, int channels = 0) {
    if (!always) return chance(50) ? "" : R"(,"mean":[],"std":[])";
    std::string mean, std_dev;
    for (int c = 0; c < channels; ++c) {
      mean += (c == 0 ? "" : ",") + num(c % 5) + ".25";
      std_dev += (c == 0 ? "" : ",") + num(1 + c % 3) + ".5";
    }
    return "\"mean\":[" + mean + "],\"std\":[" + std_dev + "]";
  }

  bool add(const char* op, const std::vector<std::string>& inputs, const std::string& attrs,
           std::string name = "") {
    if (name.empty()) name = "n" + num(static_cast<int64_t>(graph_.nodes().size()));
    std::string list;
    for (const std::string& i : inputs) list += (list.empty() ? "\"" : ",\"") + i + "\"";
    const auto added = graph_.add("{\"op\":\"" + std::string(op) + "\",\"name\":\"" + name +
                                  "\",\"inputs\":[" + list + "],\"attrs\":{" + attrs + "}}");
    if (added.ok()) names_.push_back(name);
    return added.ok();
  }

  bool fed(const std::string& name) const {
    const pvnet::Node& n = graph_.nodes()[static_cast<size_t>(graph_.find(name))];
    if (n.op == pvnet::Op::input) return true;
    return std::any_of(n.inputs.begin(), n.inputs.end(), [&](const pvnet::Edge& e) {
      return !e.feedback && fed(graph_.nodes()[static_cast<size_t>(e.src)].name);
    });
  }

  void output(const std::string& node) {
    if (!fed(node)) return;
    (void)graph_.set_output("y" + num(static_cast<int64_t>(graph_.outputs().size())), node);
  }

  std::string window(const pvnet::Shape& in, bool dilated) {
    const int kh = pick({1, 1, 2, 3}), kw = pick({1, 2, 3, 3});
    std::string a = "\"kernel\":[" + num(pick({1, 1, 2, 3})) + "," + num(std::min(kh, in.h)) + "," +
                    num(std::min(kw, in.w)) + "]";
    a += ",\"stride\":[" + num(pick({1, 1, 1, 1, 2, 3})) + "," + num(pick({1, 1, 2})) + "," +
         num(pick({1, 1, 2})) + "]";
    a += ",\"padding\":[" + num(std::min(kh, in.h) / 2) + "," + num(std::min(kw, in.w) / 2) + "]";
    if (chance(25)) a += ",\"padding_end\":[" + num(pick({0, 1})) + ",0]";
    if (dilated)
      a += ",\"dilation\":[" + num(pick({1, 1, 2, 3})) + "," + num(pick({1, 1, 2})) + ",1]";
    if (chance(15)) a += ",\"phase\":1";
    return a;
  }

  std::string act_of(const char* none = "none") {
    return pick<std::string>({std::string("\"act\":\"") + none + "\"", "\"act\":\"relu\"",
                              "\"act\":\"silu\"", "\"act\":\"sigmoid\"", "\"act\":\"clamp\"",
                              "\"act\":\"clamp\",\"act_low\":null,\"act_high\":0.5",
                              "\"act\":\"leaky_relu\",\"act_slope\":0.2", "\"act\":\"elu\"",
                              "\"act\":\"hard_swish\"", "\"act\":\"gelu\"", "\"act\":\"tanh\"",
                              "\"act\":\"mish\""});
  }

  void pad(const std::string& x, const pvnet::Shape& in) {
    const bool zeros = in.h < 3 || in.w < 3 || chance(50);
    const auto sides = [&](const char* key) {
      const int least = zeros && std::min(in.h, in.w) > 3 ? -1 : 0;
      return std::string("\"") + key + "\":[" + num(pick({least, 0, 1, 2})) + "," +
             num(pick({least, 0, 1})) + "]";
    };
    const std::string mode = zeros ? "zeros\",\"value\":0.5" : pick({"reflect\"", "replicate\""});
    add("pad", {x}, sides("padding") + "," + sides("padding_end") + ",\"pad_mode\":\"" + mode);
  }

  void move(const std::string& x, const pvnet::Shape& in) {
    if (in.c % 4 == 0 && chance(40)) {
      add("depth_to_space", {x}, "\"block\":2");
      return;
    }
    if (in.h % 2 == 0 && in.w % 2 == 0 && chance(60)) {
      add("space_to_depth", {x}, "\"block\":2");
      return;
    }
    std::string index;
    const int n = pick({1, 3, 8, 17}), step = pick({1, 1, 2});
    for (int i = 0, c = pick({0, 1, 5}); i < n; ++i, c += chance(80) ? step : 3) {
      index += (i == 0 ? "" : ",") + num(c % in.c);
    }
    add("channel_select", {x}, "\"index\":[" + index + "]");
  }

  // A convolution of the shape of what it reads, and the sum of both, which one operation may do.
  void residual(const std::string& x, const pvnet::Shape& in) {
    const int kernel = in.h < 3 || in.w < 3 ? 1 : pick({1, 3});
    const std::string conv = "n" + num(static_cast<int64_t>(graph_.nodes().size()));
    add("conv3d", {x},
        "\"out\":" + num(in.c) + ",\"groups\":" + num(chance(30) ? in.c : 1) + ",\"kernel\":[" +
            num(pick({1, 1, 2})) + "," + num(kernel) + "," + num(kernel) + "],\"padding\":[" +
            num(kernel / 2) + "," + num(kernel / 2) + "]");
    std::string other = x;
    for (const std::string& n : names_) {
      if (n != conv && shape(n) == in && chance(30)) other = n;
    }
    std::vector<std::string> inputs{conv, other};
    if (chance(50)) std::swap(inputs[0], inputs[1]);
    add("add", inputs, act_of());
  }

  void grow() {
    const std::string x = any();
    const pvnet::Shape in = shape(x);
    switch (rng_() % 18) {
      case 0:
      case 1:
      case 2:
      case 3: {
        const int groups = pick({1, 1, 1, in.c});
        const int out = groups == in.c ? in.c * pick({1, 1, 2}) : pick({1, 2, 4, 8, 12, 16, 33});
        std::string a = "\"out\":" + num(out) + ",\"groups\":" + num(groups) + "," +
                        window(in, true) + "," + act_of();
        if (chance(50)) a += ",\"norm\":true";
        if (chance(30)) a += ",\"bias\":false";
        add("conv3d", {x}, a);
        return;
      }
      case 4:
        add("max_pool", {x}, window(in, false));
        return;
      case 5:
        add("avg_pool", {x},
            window(in, false) + ",\"count_include_pad\":" + pick({"true", "false"}));
        return;
      case 6:
        add("global_pool", {x}, "\"window\":" + num(pick({1, 2, 3})));
        return;
      case 7:
      case 8: {
        std::vector<std::string> inputs{x};
        for (const std::string& n : names_) {
          if (inputs.size() < 4 && shape(n).h == in.h && shape(n).w == in.w && chance(40)) {
            inputs.push_back(n);
          }
        }
        add("concat", inputs, "");
        return;
      }
      case 9: {
        std::vector<std::string> inputs{x};
        const bool sum = chance(50);
        for (const std::string& n : names_) {
          const pvnet::Shape s = shape(n);
          const bool fits =
              (s.c == in.c || s.c == 1) && ((s.h == in.h && s.w == in.w) || (s.h == 1 && s.w == 1));
          if (inputs.size() < 4 && fits && chance(50)) inputs.push_back(n);
        }
        if (inputs.size() == 2) {
          add(pick({"sub", "div", "add", "mul"}), inputs, act_of());
        } else {
          add(sum ? "add" : "mul", inputs, act_of());
        }
        return;
      }
      case 10:
        add("act", {x}, chance(30) ? "\"act\":\"softmax\"" : act_of("relu"));
        return;
      case 11:
        add("upsample", {x},
            "\"size\":[" + num(in.h + pick({0, 2})) + "," + num(in.w + pick({0, 1})) +
                "],\"mode\":\"" +
                pick({"nearest\"", "bilinear\"", "bilinear\",\"align_corners\":true"}));
        return;
      case 12:
        if (chance(30)) {
          add("scale", {x}, act_of() + (chance(50) ? ",\"bias\":false" : ""));
        } else if (chance(30)) {
          add("prelu", {x}, "");
        } else if (chance(50)) {
          add("linear", {x}, "\"out\":" + num(pick({1, 3, 9})) + ",\"act\":\"relu\"");
        } else {
          add("normalize", {x}, mean_std(true, in.c));
        }
        return;
      case 13:
        pad(x, in);
        return;
      case 14:
        move(x, in);
        return;
      case 15: {
        const std::string a = std::string("\"act\":\"") + pick({"none", "relu", "silu"}) + "\"";
        if (chance(40)) {
          add("layer_norm", {x}, a);
        } else {
          add("group_norm", {x}, a + ",\"groups\":" + num(pick({1, in.c})));
        }
        return;
      }
      case 16:
        residual(x, in);
        return;
      default:
        add("delay", {x}, "\"ticks\":" + num(pick({0, 1, 2, 3, 7})));
    }
  }
};

}  // namespace nets
