// Prints, as JSON, what Kubernetes' programs of one version know: flags (also hidden ones, which --help leaves out),
// feature gates with their stage, the fields of the configuration kinds and the API versions in which they are read.
// Compiled by the lock by which the programs themselves are built, it can't say anything else than they.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/apis/apiserver/install"
	utilfeature "k8s.io/apiserver/pkg/util/feature"
	cliflag "k8s.io/component-base/cli/flag"
	_ "k8s.io/component-base/logs/json/register" // As the programs do: it has flags.
	kubeproxy "k8s.io/kube-proxy/config/v1alpha1"
	kubescheduler "k8s.io/kube-scheduler/config/v1"
	kubelet "k8s.io/kubelet/config/v1beta1"
	apiserverapp "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllerapp "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	schedulerapp "k8s.io/kubernetes/cmd/kube-scheduler/app"
	"k8s.io/kubernetes/cmd/kubelet/app/options"
	schedulerscheme "k8s.io/kubernetes/pkg/scheduler/apis/config/scheme"
)

func main() {
	all := map[string]any{"flags": flags(), "gates": gates(), "fields": fields(), "apis": apis()}
	if err := json.NewEncoder(os.Stdout).Encode(all); err != nil {
		panic(err)
	}
}

func flags() map[string][]string {
	found := map[string][]string{}
	for _, made := range []struct {
		name    string
		command *cobra.Command
	}{
		// The first one: 1.34's changes a gate's default, which is refused once another has shown its gates.
		{"kube-controller-manager", controllerapp.NewControllerManagerCommand()},
		{"kube-apiserver", apiserverapp.NewAPIServerCommand()},
		{"kube-scheduler", schedulerapp.NewSchedulerCommand()},
	} {
		name, command := made.name, made.command
		command.SetGlobalNormalizationFunc(cliflag.WordSepNormalizeFunc)
		command.InitDefaultHelpFlag()
		found[name] = names(command.Flags())
	}
	found["kubelet"] = kubeletFlags()
	return found
}

// kubelet keeps a set of its own, beside that of its command.
func kubeletFlags() []string {
	set := pflag.NewFlagSet("kubelet", pflag.ContinueOnError)
	set.SetNormalizeFunc(cliflag.WordSepNormalizeFunc)
	config, err := options.NewKubeletConfiguration()
	if err != nil {
		panic(err)
	}
	options.NewKubeletFlags().AddFlags(set)
	options.AddKubeletConfigFlags(set, config)
	options.AddGlobalFlags(set)
	return append(names(set), "help")
}

func names(set *pflag.FlagSet) []string {
	found := []string{}
	set.VisitAll(func(flag *pflag.Flag) { found = append(found, flag.Name) })
	return found
}

func gates() map[string]string {
	found := map[string]string{}
	for name, spec := range utilfeature.DefaultMutableFeatureGate.GetAll() {
		stage := strings.ToLower(string(spec.PreRelease))
		if stage == "" {
			stage = "ga"
		}
		found[string(name)] = stage + map[bool]string{true: " on", false: " off"}[spec.Default]
		if spec.LockToDefault {
			found[string(name)] += " locked"
		}
	}
	return found
}

func fields() map[string]map[string]string {
	found := map[string]map[string]string{}
	for _, kind := range []any{
		kubelet.KubeletConfiguration{}, kubeproxy.KubeProxyConfiguration{}, kubescheduler.KubeSchedulerConfiguration{},
	} {
		t := reflect.TypeOf(kind)
		table, owners := map[string]string{}, map[string]reflect.Type{}
		expand(t, t.Name(), table, owners)
		found[t.Name()] = table
	}
	return found
}

// Adds `Type.field: type` for all fields of a struct and of what it holds.
func expand(t reflect.Type, owner string, table map[string]string, owners map[string]reflect.Type) {
	for i := 0; i < t.NumField(); i++ {
		field := t.Field(i)
		name, rest, _ := strings.Cut(field.Tag.Get("json"), ",")
		if name == "-" || !field.IsExported() {
			continue
		}
		if name == "" && (field.Anonymous || strings.Contains(rest, "inline")) {
			expand(field.Type, owner, table, owners)
			continue
		}
		table[owner+"."+name] = word(field.Type, table, owners)
	}
}

var special = map[string]string{
	"Duration": "Duration", "Time": "Time", "Quantity": "Quantity", "QuantityValue": "Quantity",
	"RawExtension": "any", "TimeOrMetaDuration": "any", "IntOrString": "any",
}

func word(t reflect.Type, table map[string]string, owners map[string]reflect.Type) string {
	if known, ok := special[t.Name()]; ok {
		return known
	}
	switch t.Kind() {
	case reflect.Pointer:
		return word(t.Elem(), table, owners)
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 {
			return "string"
		}
		return "[]" + word(t.Elem(), table, owners)
	case reflect.Map:
		return "map[string]" + word(t.Elem(), table, owners)
	case reflect.Struct:
		if other, seen := owners[t.Name()]; seen && other != t {
			panic(fmt.Sprintf("two types %s: %v and %v", t.Name(), t, other))
		} else if !seen {
			owners[t.Name()] = t
			expand(t, t.Name(), table, owners)
		}
		return t.Name()
	case reflect.Interface:
		return "any"
	}
	return t.Kind().String()
}

// Versions that are served of each configuration kind that quorate writes.
func apis() map[string][]string {
	apiserver := runtime.NewScheme()
	install.Install(apiserver)
	return map[string][]string{
		"KubeSchedulerConfiguration":  served(schedulerscheme.Scheme, "kubescheduler.config.k8s.io", "KubeSchedulerConfiguration"),
		"AuthenticationConfiguration": served(apiserver, "apiserver.config.k8s.io", "AuthenticationConfiguration"),
		"EncryptionConfiguration":     served(apiserver, "apiserver.config.k8s.io", "EncryptionConfiguration"),
	}
}

func served(scheme *runtime.Scheme, group, kind string) []string {
	found := []string{}
	for _, version := range scheme.PrioritizedVersionsForGroup(group) {
		if scheme.Recognizes(schema.GroupVersionKind{Group: group, Version: version.Version, Kind: kind}) {
			found = append(found, version.Version)
		}
	}
	return found
}
