// Prints, as JSON, the flags of kube-proxy. It takes in whatever a package that is linked into it defines, so it is asked
// alone.
package main

import (
	"encoding/json"
	"os"

	"github.com/spf13/pflag"
	cliflag "k8s.io/component-base/cli/flag"
	_ "k8s.io/component-base/logs/json/register" // As kube-proxy does: it has flags.
	"k8s.io/kubernetes/cmd/kube-proxy/app"
)

func main() {
	command := app.NewProxyCommand()
	command.SetGlobalNormalizationFunc(cliflag.WordSepNormalizeFunc)
	command.InitDefaultHelpFlag()
	found := []string{}
	command.Flags().VisitAll(func(flag *pflag.Flag) { found = append(found, flag.Name) })
	if err := json.NewEncoder(os.Stdout).Encode(found); err != nil {
		panic(err)
	}
}
