// SPDX-License-Identifier: Apache-2.0
// Graph and model files. Nodes go in and come out as JSON, so that Python and files share one form.
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "graph/graph.hpp"
#include "model/corrections.hpp"
#include "model/open_model.hpp"
#include "model/ranges.hpp"

#include "graph/document.hpp"
#include "python/gil.hpp"
#include "python/register.hpp"
#include "python/weights.hpp"

namespace pvnet::python {

namespace py = pybind11;

namespace {

std::string name_of(const Graph& g, int node) { return g.nodes()[static_cast<size_t>(node)].name; }

std::string resolved_node_by_name(const Graph& g, const std::string& name) {
  const int node = g.find(name);
  if (node < 0) {
    raise_if_failed({Code::graph, "[Graph] no node of this name: got '" + name +
                                      "', expected the name of a node. Correct the spelling."});
  }
  return resolved_node(g, node);
}

py::tuple to_python(Result<Model> loaded) {
  Model model = unwrap(std::move(loaded));
  py::dict metadata;
  for (const auto& [key, value] : model.metadata) metadata[py::str(key)] = py::str(value);
  return py::make_tuple(model.graph, weights_to_dict(std::move(model.weights)), metadata);
}

OpenModel open_bytes(const py::bytes& source) {
  const std::string_view view = source;
  return unwrap([&] {
    const GilReleased nogil;
    return OpenModel::open(view.data(), view.size(), false);
  }());
}

OpenModel open_path(const std::string& path) {
  return unwrap([&] {
    const GilReleased nogil;
    return OpenModel::open(path);
  }());
}

py::tuple load_bytes(const py::bytes& source) {
  const std::string_view view = source;
  return to_python([&] {
    const GilReleased nogil;
    return load_model(view.data(), view.size());
  }());
}

py::tuple load_path(const std::string& path) {
  return to_python([&] {
    const GilReleased nogil;
    return load_model(path);
  }());
}

void save(const std::string& path, const Graph& graph, const py::dict& weights,
          const std::map<std::string, std::string>& metadata) {
  Model model;
  model.graph = graph;
  model.weights = weights_from_dict(weights, "save_model");
  model.metadata.insert(metadata.begin(), metadata.end());
  Status status;
  {
    const GilReleased nogil;
    status = save_model(path, model);
  }
  raise_if_failed(status);
}

py::list expected(const Graph& graph) {
  raise_if_failed(graph.check());
  py::list out;
  for (const auto& [name, shape] : expected_weights(graph)) {
    out.append(py::make_tuple(name, py::tuple(py::cast(shape))));
  }
  return out;
}

Graph wire_balanced(const Graph& g, const std::string& wiring, int k,
                    const std::map<std::string, double>& costs) {
  return unwrap(g.wire(unwrap(wiring_from_string(wiring)), k, {costs.begin(), costs.end()}));
}

}  // namespace

void register_graph(py::module_& m) {
  py::class_<Graph>(m, "Graph")
      .def(py::init<>())
      .def(
          "add", [](Graph& g, const std::string& json) { return name_of(g, unwrap(g.add(json))); },
          py::arg("node_json"))
      .def(
          "set_output",
          [](Graph& g, const std::string& name, const std::string& node) {
            raise_if_failed(g.set_output(name, node));
          },
          py::arg("name"), py::arg("node"))
      .def("check", [](const Graph& g) { raise_if_failed(g.check()); })
      .def(
          "wire",
          [](const Graph& g, const std::string& wiring,
             const std::vector<std::vector<std::string>>& stages) {
            return unwrap(g.wire(unwrap(wiring_from_string(wiring)), stages));
          },
          py::arg("wiring"), py::arg("stages"))
      .def("wire_k", &wire_balanced, py::arg("wiring"), py::arg("k"), py::arg("costs"))
      .def(
          "wire_layers",
          [](const Graph& g, const std::string& wiring) {
            return unwrap(g.wire_layers(unwrap(wiring_from_string(wiring))));
          },
          py::arg("wiring"))
      .def("to_json", &Graph::to_json)
      .def_static(
          "from_json", [](const std::string& text) { return unwrap(Graph::from_json(text)); },
          py::arg("text"))
      .def("resolved_json", [](const Graph& g) { return unwrap(g.resolved_json()); })
      .def("resolved_node", &resolved_node_by_name, py::arg("name"))
      .def("node_names",
           [](const Graph& g) {
             std::vector<std::string> names;
             for (const Node& n : g.nodes()) names.push_back(n.name);
             return names;
           })
      .def_property_readonly("wiring", [](const Graph& g) { return to_string(g.wiring()); })
      .def_property_readonly("n_stages", &Graph::n_stages)
      .def_property_readonly("hyper_period", &Graph::hyper_period)
      .def("copy", [](const Graph& g) { return Graph(g); });
  py::class_<OpenModel>(m, "OpenModel")
      .def(py::init(&open_bytes), py::arg("source"), py::keep_alive<1, 2>())
      .def(py::init(&open_path), py::arg("source"))
      .def_property_readonly("graph", [](const OpenModel& o) { return Graph(o.graph()); })
      .def_property_readonly("metadata", [](const OpenModel& o) {
        return std::map<std::string, std::string>(o.metadata().begin(), o.metadata().end());
      });
  m.def("load_model", &load_bytes, py::arg("source"),
        "(Graph, {name: float32 array}, metadata) of the bytes of a model file.");
  m.def("load_model", &load_path, py::arg("source"), "The same of a file.");
  m.def("save_model", &save, py::arg("path"), py::arg("graph"), py::arg("weights"),
        py::arg("metadata"));
  m.def(
      "stored_ranges",
      [](const std::map<std::string, std::string>& metadata) {
        return unwrap(stored_ranges({metadata.begin(), metadata.end()}));
      },
      py::arg("metadata"), "{node: (low, high)} of the metadata of a model file; {} without.");
  m.def(
      "stored_corrections",
      [](const std::map<std::string, std::string>& metadata) {
        const auto found = unwrap(stored_corrections({metadata.begin(), metadata.end()}));
        return std::map<std::string, std::vector<float>>(found.begin(), found.end());
      },
      py::arg("metadata"), "{node: [...]} of the metadata of a model file; {} without.");
  m.def("expected_weights", &expected, py::arg("graph"), "[(name, shape)] in node order.");
}

}  // namespace pvnet::python
