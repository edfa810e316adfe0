"""Day-2 work that is not a state: status, kubeconfig, destroy."""
