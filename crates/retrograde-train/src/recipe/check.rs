//! Whether the keys of a recipe go together, and with the data: what is legal alone and not beside the rest.

use super::show::OF_MINIBATCHES;
use super::{Loss, Recipe, RecipeError, Update};
use crate::data::{Dataset, Layout, Targets};
use crate::diagnosis::{Diagnosis, list};
use crate::model::{Interface, Misfit};

impl Recipe {
    /// Whether the keys go together, for the data at hand.
    ///
    /// # Errors
    /// Patience without a validation split; a loss for another task; a model for other inputs, or with sizes that do not fit.
    pub fn check(&self, data: &Dataset) -> Result<(), RecipeError> {
        let wrong = |message: String, key: &str, help: &str| {
            let place = self.places.of(key);
            Err(RecipeError::Together(Diagnosis { message, place, help: Some(help.into()) }))
        };
        let targets = &data.targets;
        self.check_model(data)?;
        self.check_update(data.n_rows())?;
        let is_classes = matches!(targets, Targets::Classes { .. });
        for (key, is_set) in [("label_smoothing", self.label_smoothing > 0.0), ("mixup", self.mixup > 0.0)] {
            if is_set && !is_classes {
                let message = format!("`{key}` is for classes, and the targets are numbers");
                return wrong(message, key, &format!("leave out `{key}`, or say `--task classification`"));
            }
        }
        if self.shift > 0 && !matches!(data.inputs.layout, Layout::Images { .. }) {
            let message = format!("`shift` is for images, and the inputs are {}", data.inputs.layout);
            return wrong(message, "shift", "leave out `shift`");
        }
        if self.warmup >= self.epochs && self.warmup > 0 {
            let message =
                format!("found {} epochs of warmup in {} epochs, expected fewer", self.warmup, self.epochs);
            return wrong(message, "warmup", "raise `epochs`, or lower `warmup`");
        }
        if self.patience > 0 && self.split.validation == 0.0 {
            return wrong(
                format!("patience = {} needs validation rows, and split.validation is 0", self.patience),
                "patience",
                "set `split.validation = 0.1`, or leave out `patience`",
            );
        }
        match (self.loss, targets) {
            (Loss::CrossEntropy, Targets::Values(_)) => wrong(
                "cross-entropy is a loss for classes, and the targets are numbers".into(),
                "loss",
                "use `loss = \"squared_error\"`, or say `--task classification`",
            ),
            (Loss::SquaredError, Targets::Classes { .. }) => wrong(
                "the squared error is a loss for numbers, and the targets are classes".into(),
                "loss",
                "use `loss = \"cross_entropy\"`, or say `--task regression`",
            ),
            _ => Ok(()),
        }
    }

    /// Whether the model goes with the inputs, and with the update.
    pub(crate) fn check_model(&self, data: &Dataset) -> Result<(), RecipeError> {
        let wrong = |misfit: Misfit| {
            let place = self.places.of(&format!("model.{}", misfit.key));
            RecipeError::Together(Diagnosis { message: misfit.message, place, help: Some(misfit.help) })
        };
        self.model.check(&Interface::of(data)).map_err(wrong)?;
        let Update::FiniteSum(minimiser) = &self.update else { return Ok(()) };
        self.model.check_finite_sum().map_err(wrong)?;
        if minimiser.method.is_for_convex() && !self.model.is_convex() {
            let (update, model) = (minimiser.name(), self.model.name());
            return Err(RecipeError::Together(Diagnosis {
                message: format!("\"{update}\" needs a convex loss, and that of the model \"{model}\" is not"),
                place: self.places.of("update.name"),
                help: Some(
                    "use the model \"linear\", or an update that keeps to positive curvature, such as \"stochastic-newton\", \
                     \"hessian-free\" or \"lbfgs\""
                        .into(),
                ),
            }));
        }
        Ok(())
    }

    /// Whether the update has a use for the other keys, and rows enough.
    pub(crate) fn check_update(&self, n_rows: usize) -> Result<(), RecipeError> {
        let Update::FiniteSum(minimiser) = &self.update else { return Ok(()) };
        let name = minimiser.name();
        let wrong = |key: &str, message: String, help: String| {
            let place = self.places.of(key);
            Err(RecipeError::Together(Diagnosis { message, place, help: Some(help) }))
        };
        let own = self.own_lines();
        let mut useless = OF_MINIBATCHES.iter().copied();
        let is_set = |key: &&str| {
            self.places.0.iter().any(|(set, _)| set == key) || own.iter().any(|(own, _)| own == key)
        };
        if let Some(key) = useless.find(is_set) {
            let keys = self.update.keys().iter().map(|key| key.name).collect::<Vec<_>>();
            return wrong(
                key,
                format!(
                    "`{key}` is for updates by minibatches, and \"{name}\" takes its own steps down one sum"
                ),
                format!("leave out `{key}`; under `[update]`, \"{name}\" has the keys {}", list(&keys, '`')),
            );
        }
        match minimiser.method.rows_at_once() {
            Some((key, found)) if found > n_rows => wrong(
                &format!("update.{key}"),
                format!("found {found} rows at once, expected at most the {n_rows} to train on"),
                format!("lower `update.{key}`"),
            ),
            _ => Ok(()),
        }
    }

    /// Whether the update holds no more numbers than these.
    pub(crate) fn check_memory(
        &self,
        n_rows: usize,
        (n_parameters, n_outputs): (u64, usize),
        most: u64,
    ) -> Result<(), RecipeError> {
        let Update::FiniteSum(minimiser) = &self.update else { return Ok(()) };
        let found = minimiser.method.n_held(n_rows, n_parameters, n_outputs);
        if found <= most {
            return Ok(());
        }
        let name = minimiser.name();
        Err(RecipeError::Together(Diagnosis {
            message: format!(
                "\"{name}\" holds {found} numbers for {n_rows} rows and {n_parameters} parameters, expected at most {most}"
            ),
            place: self.places.of("update.name"),
            help: Some("use \"lbfgs\" or \"svrg\", which hold less, or bring fewer rows".into()),
        }))
    }
}
